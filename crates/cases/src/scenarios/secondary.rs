//! Secondary TLBs (SD-22): an IOMMU that shares the page tables of the first space, told by a queue.

use super::list::{List, Scenario};
use super::machines::machines;
use crate::engine::Start::{Device, Iommu, Kernel, Lazy, User};
use crate::engine::{TestMachine, Transport};
use shootdown::tags::Untagged;

const TWO: &[&str] = &["two", "secondary"];
const THREE: &[&str] = &["three", "secondary"];

machines! {
    /// CPUs are told by IPIs.
    Shared: Untagged {
        const SECONDARY_TLBS: bool = true;
    }

    /// Firmware flushes on CPUs, and knows of no IOMMU.
    SharedFirmware: Untagged {
        const SECONDARY_TLBS: bool = true;
        const TRANSPORT: Transport = Transport::Firmware;
    }
}

pub(super) fn add(list: &mut List) {
    without_other_cpus(list);
    beside_other_cpus(list);
    later(list);
    at_the_end(list);
}

/// An IOMMU shares the first space.
fn shared<'l, S: TestMachine>(
    list: &'l mut List,
    name: &str,
    groups: &'static [&'static str],
) -> Scenario<'l, S> {
    list.scenario(name, groups).cpu(Iommu(0), |_| {})
}

fn without_other_cpus(list: &mut List) {
    shared::<Shared>(list, "secondary-alone", TWO)
        .about("the only CPU in a space unmaps a page that an IOMMU uses too")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .pso()
        .add();
    shared::<Shared>(list, "secondary-nobody", TWO)
        .about("no CPU has the space loaded whose page is unmapped, and an IOMMU shares it")
        .cpu(Kernel, |cpu| cpu.unmap(0, 0))
        .spaces(1, [1, 0])
        .add();
    shared::<Shared>(list, "secondary-device", THREE)
        .about("a device behind the IOMMU keeps translations of its own, and gets them from the IOMMU")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(Device(0, 0), |_| {})
        .add();
    shared::<Shared>(list, "secondary-table-alone", TWO)
        .about("the only CPU in a space frees a page table that the IOMMU walks")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .add();
    shared::<Shared>(list, "secondary-kernel", TWO)
        .about("a kernel page is unmapped, which the shared tables map too")
        .cpu(User(0), |cpu| cpu.gather_kernel(0))
        .kernel_pages(1)
        .add();
}

fn beside_other_cpus(list: &mut List) {
    shared::<Shared>(list, "secondary-unmap", THREE)
        .about("a page is unmapped that another CPU and an IOMMU use")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |_| {})
        .pso()
        .add();
    shared::<Shared>(list, "secondary-table", THREE)
        .about("a page table is freed that a lazy CPU and an IOMMU may walk")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(Lazy(0), |_| {})
        .add();
    shared::<Shared>(list, "secondary-masked", THREE)
        .about("two CPUs unmap with interrupts off, and each polls while it waits for the IOMMU")
        .cpu(User(0), |cpu| cpu.unmap_masked(0, 0))
        .cpu(User(0), |cpu| cpu.unmap_masked(0, 1))
        .add();
    shared::<SharedFirmware>(list, "secondary-firmware", THREE)
        .about("firmware has flushed on all CPUs, and the IOMMU is waited for")
        .cpu(User(0), |cpu| cpu.unmap_split(0, 0))
        .cpu(User(0), |_| {})
        .add();
}

fn later(list: &mut List) {
    shared::<Shared>(list, "secondary-retired", THREE)
        .about("the frame of an unmapped page waits in a queue for a CPU and for the IOMMU")
        .cpu(User(0), |cpu| cpu.retire_unmap(0, 0))
        .cpu(User(0), |_| {})
        .add();
    shared::<Shared>(list, "secondary-retired-alone", TWO)
        .about("the same where the IOMMU alone is waited for")
        .cpu(User(0), |cpu| cpu.retire_unmap(0, 0))
        .add();
    shared::<Shared>(list, "secondary-moved", THREE)
        .about("a thread sends an unmap and is moved to a CPU without the space, where it retires the page")
        .cpu(User(0), |cpu| cpu.send_unmap(0, 0, 1))
        .cpu(Kernel, |cpu| cpu.retire_carried(0, 1))
        .add();
    shared::<Shared>(list, "secondary-asked-twice", THREE)
        .about("a ticket is asked twice while another flush is posted")
        .cpu(User(0), |cpu| cpu.ask_twice(0, 0))
        .cpu(Kernel, |cpu| cpu.flush_page(0, 1))
        .add();
    shared::<Shared>(list, "secondary-deferred", THREE)
        .about("a CPU is told of an unmap later, and the IOMMU at once")
        .cpu(User(0), |cpu| cpu.defer_unmap_once(0, 0))
        .cpu(User(0), |cpu| cpu.tick())
        .add();
    shared::<Shared>(list, "secondary-deferred-alone", TWO)
        .about("the IOMMU alone is waited for, of an unmap of which CPUs would be told later")
        .cpu(User(0), |cpu| cpu.defer_unmap(0, 0))
        .add();
    shared::<Shared>(list, "secondary-batch", THREE)
        .about("pages of two spaces are unmapped in a batch, and an IOMMU shares one of them")
        .cpu(Kernel, |cpu| cpu.unmap_batch([0, 1]))
        .cpu(User(1), |_| {})
        .spaces(2, [1, 0])
        .add();
    shared::<Shared>(list, "secondary-nested-retired", THREE)
        .about("a gather finds a page cleared whose flush the IOMMU has not carried out")
        .cpu(User(0), |cpu| cpu.retire_unmap_and_tell(0, 0, 1))
        .cpu(Kernel, |cpu| cpu.await_and_unmap_pages(1, 0, 0..1, &[0]))
        .contested()
        .add();
}

fn at_the_end(list: &mut List) {
    shared::<Shared>(list, "secondary-exit", TWO)
        .about("the IOMMU leaves a space, which ends")
        .cpu(User(0), |cpu| cpu.exit_and_detach(0))
        .dies(true)
        .add();
}
