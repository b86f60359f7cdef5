//! SD-2: only the CPU that loads a space enters its mask; another thread is on another CPU.

use kernel::*;

fn main() {
    let user = user();
    let borrow = ENGINE.borrow(&user).expect("a kernel thread");
    std::thread::scope(|scope| {
        //= scope.spawn(|| drop(user.clone()));
        scope.spawn(move || drop(borrow)); //~ E0277
    });
}
