//! SD-6: an IPI is sent after its request is visible.

use kernel::*;

fn main() {
    let user = user();
    //= ENGINE.flush(&user, FlushRequest::all());
    ENGINE.request_ipi(CpuId::new(1)); //~ E0624
    drop(user);
}
