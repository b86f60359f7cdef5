//! SD-2: only the CPU that entered loads the root; another thread is on another CPU.

use kernel::*;

fn main() {
    let user = user();
    let entry = ENGINE.enter(&user);
    std::thread::scope(|scope| {
        //= scope.spawn(|| println!("entered"));
        scope.spawn(move || drop(entry)); //~ E0277
    });
}
