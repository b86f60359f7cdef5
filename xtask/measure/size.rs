//! How many bytes of machine code the operations come to.

use crate::bound::Bound;
use crate::built::{Built, COHERENT, PLATFORMS};
use crate::program::{Kind, Program};
use crate::reach::Reached;
use anyhow::{Context, Result};
use object::Architecture;

/// What the engine may come to on 64-bit RISC-V, built for size, with all its operations and the largest of the tag
/// policies.
pub const BOUND: Bound = Bound { what: "of machine code of the engine on riscv64", bytes: 12 * 1024 };
/// The same for the coherence layer alone. It should be less than all of the engine too; CAVEATS.md has the miss.
pub const COHERENT_BOUND: Bound =
    Bound { what: "of machine code of the coherence layer on riscv64", bytes: BOUND.bytes };
/// Platforms whose functions are listed.
const LISTED: [&str; 2] = ["asids", "coherent_asids"];

/// Bytes of some operations and of all that they reach.
#[derive(Debug, Default)]
pub struct Weight {
    /// The engine's machine code.
    pub engine: u64,
    /// Machine code of an arch crate.
    pub arch: u64,
    /// Machine code of the core library and of the compiler's.
    pub core: u64,
    /// Constants.
    pub constants: u64,
    /// Each function of the engine with its bytes, the largest first.
    pub functions: Vec<(u64, String)>,
}

/// Weighs what `operations` reach.
pub fn weigh(program: &Program, operations: &[usize]) -> Weight {
    let mut weight = Weight::default();
    for index in Reached::from(program, operations, |_| false).nodes() {
        let node = &program.nodes[index];
        let bytes = node.bytes.len() as u64;
        match node.kind {
            Kind::External => {}
            Kind::Data => weight.constants += bytes,
            Kind::Code if operations.contains(&index) || node.name.contains("shootdown::") => {
                weight.engine += bytes;
                weight.functions.push((bytes, node.name.clone()));
            }
            Kind::Code if node.name.contains("shootdown_") => weight.arch += bytes,
            Kind::Code => weight.core += bytes,
        }
    }
    weight.functions.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    weight
}

/// Prints the weight of each platform, and the functions of one.
///
/// # Errors
/// The engine is past [`BOUND`] or [`COHERENT_BOUND`] where that holds.
pub fn report(built: &[Built], functions: bool) -> Result<()> {
    let mut bounded = [Vec::new(), Vec::new()];
    println!("bytes of machine code, all operations        engine    arch    core  constants");
    for one in built {
        for platform in PLATFORMS.into_iter().chain(COHERENT) {
            let operations: Vec<usize> = one.operations(platform)?.into_values().collect();
            let weight = weigh(&one.program, &operations);
            let Weight { engine, arch, core, constants, .. } = weight;
            println!("  {:16} {platform:23} {engine:>8} {arch:>7} {core:>7} {constants:>10}", one.name);
            if one.program.architecture == Architecture::Riscv64 {
                let layer = usize::from(COHERENT.contains(&platform));
                bounded[layer].push((engine, format!("{} {platform}", one.name)));
            }
            if functions && LISTED.contains(&platform) {
                weight.functions.iter().for_each(|(bytes, name)| println!("    {bytes:>6}  {name}"));
            }
        }
    }
    for (layer, bound) in bounded.iter().zip([BOUND, COHERENT_BOUND]) {
        let (bytes, name) = layer.iter().max().context("nothing was built for riscv64")?;
        println!("  the largest on riscv64: {name}");
        bound.check(*bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Node, Reference};

    #[test]
    fn what_is_reached_is_weighed_by_whose_it_is() {
        let names = [
            "asids.flush",
            "<shootdown::this_cpu::Cpu<P>>::handle_ipi",
            "shootdown_riscv64::asid",
            "memcpy",
            "lost",
        ];
        let mut nodes: Vec<Node> = names.map(|name| Node::new(name, Kind::Code, vec![0; 8])).into();
        nodes.push(Node::new(".rodata", Kind::Data, vec![0; 3]));
        nodes.push(Node::new("embedder_cpu", Kind::External, Vec::new()));
        nodes[0].refers = [1, 2, 5, 6].map(|to| Reference { to, offset: 0 }).into();
        nodes[5].refers = vec![Reference { to: 3, offset: 0 }];
        let weight = weigh(&Program { architecture: Architecture::Riscv64, nodes }, &[0]);
        assert_eq!((weight.engine, weight.arch, weight.core, weight.constants), (16, 8, 8, 3));
        assert_eq!(weight.functions.len(), 2);
    }
}
