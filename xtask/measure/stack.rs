//! How much stack a function and what it calls take at most.

use crate::bound::Bound;
use crate::built::{Built, PLATFORMS};
use crate::disassembler::Disassembler;
use crate::panics::{embedders, panics};
use crate::program::{Kind, Program};
use anyhow::{Context, Result, bail, ensure};
use object::Architecture;
use std::collections::HashMap;

/// The most stack that the IPI handler may use, from the call of `handle_ipi` on.
pub const BOUND: Bound = Bound { what: "of stack for the IPI handler", bytes: 512 };
/// Operations that are printed; the first is bounded.
const PRINTED: [&str; 8] =
    ["handle_ipi", "switch_to", "enter_lazy", "leave", "borrow", "flush", "gather_finish", "flush_kernel"];

/// The deepest chain of calls from a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deepest {
    /// Bytes of all frames, return addresses included where calls push them.
    pub bytes: u64,
    /// Index of each function and the bytes of its own frame, the outermost first.
    pub frames: Vec<(usize, u64)>,
}

/// Measures functions of a program.
pub struct Stack<'a> {
    program: &'a Program,
    disassembler: Disassembler,
    known: HashMap<usize, Deepest>,
    open: Vec<usize>,
}

impl<'a> Stack<'a> {
    /// Begins to measure.
    ///
    /// # Errors
    /// No disassembler for the architecture.
    pub fn of(program: &'a Program) -> Result<Self> {
        let disassembler = Disassembler::new(program.architecture)?;
        Ok(Self { program, disassembler, known: HashMap::new(), open: Vec::new() })
    }

    /// Measures the function `node` and all that it refers to. What panics is left out, for `panics` shows that nothing
    /// does, and so are the embedder's functions.
    ///
    /// # Errors
    /// Recursion, a frame whose size is known at run time alone, or code that is not in the library.
    pub fn deepest(&mut self, node: usize) -> Result<Deepest> {
        if let Some(known) = self.known.get(&node) {
            return Ok(known.clone());
        }
        let this = &self.program.nodes[node];
        if panics(&this.name) || embedders(&this.name) {
            return Ok(Deepest::default());
        }
        ensure!(this.kind != Kind::External, "{} is not in the library: its stack is not known", this.name);
        ensure!(!self.open.contains(&node), "{} is reached from itself: no bound on its stack", this.name);
        self.open.push(node);
        let below = self.deepest_below(node);
        self.open.pop();
        let mut deepest = below?;
        if this.kind == Kind::Code {
            let frame = self.frame(&this.bytes).with_context(|| format!("the frame of {}", this.name))?;
            deepest.bytes += frame;
            deepest.frames.insert(0, (node, frame));
        }
        self.known.insert(node, deepest.clone());
        Ok(deepest)
    }

    fn deepest_below(&mut self, node: usize) -> Result<Deepest> {
        let mut below = Deepest::default();
        for reference in &self.program.nodes[node].refers {
            // A place inside a function is the target of a jump of its own, by a table or not.
            let is_call = reference.offset == 0 || self.program.nodes[reference.to].kind != Kind::Code;
            if is_call {
                let deepest = self.deepest(reference.to)?;
                if deepest.bytes > below.bytes {
                    below = deepest;
                }
            }
        }
        Ok(below)
    }

    /// Adds up all by which a function's instructions lower the stack pointer. Where it does so on two branches this is
    /// more than it takes.
    fn frame(&self, code: &[u8]) -> Result<u64> {
        let mut bytes = if self.program.architecture == Architecture::X86_64 { 8 } else { 0 };
        for instruction in self.disassembler.instructions(code)? {
            let (name, operands) = instruction.split_once(' ').unwrap_or((&instruction, ""));
            bytes += lowers(self.program.architecture, name, operands)?;
        }
        Ok(bytes)
    }
}

/// Prints the stack of some operations on each platform, and the deepest chain of the handler.
///
/// # Errors
/// The handler is past [`BOUND`].
pub fn report(built: &[Built]) -> Result<()> {
    let (mut most, mut worst) = (0, String::new());
    println!("bytes of stack            {}", PRINTED.map(|name| format!("{name:>13}")).concat());
    for one in built {
        let mut stack = Stack::of(&one.program)?;
        for platform in PLATFORMS {
            let operations = one.operations(platform)?;
            let mut row = String::new();
            for name in PRINTED {
                let operation = operations.get(name);
                let operation = operation.with_context(|| format!("{platform} has no {name}"))?;
                let deepest =
                    stack.deepest(*operation).with_context(|| format!("{} {platform}", one.name))?;
                row += &format!("{:>13}", deepest.bytes);
                if name == PRINTED[0] && deepest.bytes > most {
                    (most, worst) = (deepest.bytes, chain(one, platform, &deepest));
                }
            }
            println!("  {:16} {platform:8}{row}", one.name);
        }
        let control = stack.deepest(one.control("large_stack")?)?;
        ensure!(
            control.bytes > BOUND.bytes,
            "{}: a function with a large frame is not seen to have one",
            one.name
        );
    }
    println!("  the handler takes most on {worst}");
    BOUND.check(most)
}

fn chain(one: &Built, platform: &str, deepest: &Deepest) -> String {
    let frame = |&(node, bytes): &(usize, u64)| format!("\n    {bytes:>5}  {}", one.program.nodes[node].name);
    format!(
        "{} {platform}: {} bytes{}",
        one.name,
        deepest.bytes,
        deepest.frames.iter().map(frame).collect::<String>()
    )
}

/// By how much an instruction lowers the stack pointer.
fn lowers(architecture: Architecture, name: &str, operands: &str) -> Result<u64> {
    let mut parts = operands.split(", ");
    let (first, second, last) = (parts.next(), parts.next(), operands.rsplit(", ").next());
    let last = last.unwrap_or_default();
    Ok(match (architecture, name) {
        (Architecture::X86_64, "push" | "pushfq") => 8,
        (Architecture::X86_64, "sub") if first == Some("rsp") => number(last)?,
        (Architecture::X86_64, "add") if first == Some("rsp") && last.starts_with('-') => number(last)?,
        // The stack pointer is aligned down.
        (Architecture::X86_64, "and") if first == Some("rsp") => number(last)?,
        (Architecture::Aarch64, "sub") if first == Some("sp") => match operands.split_once(", lsl #") {
            Some((before, shift)) => {
                number(before.rsplit(", ").next().unwrap_or_default())? << number(shift)?
            }
            None => number(last)?,
        },
        (Architecture::Aarch64, _) if operands.ends_with("]!") && operands.contains("[sp, #-") => {
            number(last.trim_end_matches("]!"))?
        }
        (Architecture::Riscv64, "addi" | "c.addi" | "c.addi16sp") if first == Some("sp") => {
            let from_itself = second == Some("sp") || name != "addi";
            if from_itself && last.starts_with('-') { number(last)? } else { 0 }
        }
        (Architecture::Riscv64, "sub" | "c.sub") if first == Some("sp") => {
            bail!("{name} {operands}: no constant")
        }
        (Architecture::X86_64 | Architecture::Aarch64 | Architecture::Riscv64, _) => 0,
        (other, _) => bail!("frames of {other:?} are not read"),
    })
}

/// Reads a number, decimal or not, and leaves its sign away. Masks that align become what they may add.
fn number(text: &str) -> Result<u64> {
    let text = text.trim_start_matches('#').trim_start_matches('-');
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let value = parsed.with_context(|| format!("{text:?} is no constant: the frame's size is not known"))?;
    Ok(if value > u64::MAX / 2 { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Node, Reference};

    fn program(architecture: Architecture, codes: &[&[u8]], calls: &[(usize, usize)]) -> Program {
        let node = |code: &&[u8]| Node::new("f", Kind::Code, code.to_vec());
        let mut nodes: Vec<Node> = codes.iter().map(node).collect();
        for &(from, to) in calls {
            nodes[from].refers.push(Reference { to, offset: 0 });
        }
        Program { architecture, nodes }
    }

    fn bytes(architecture: Architecture, code: &[u8]) -> u64 {
        let program = program(architecture, &[code], &[]);
        Stack::of(&program).and_then(|mut stack| stack.deepest(0)).expect("a frame").bytes
    }

    #[test]
    fn frames_are_read_from_prologues() {
        // push rbp; push rbx; sub rsp, 0x128; pop rbx; ret
        let x86 = [0x55, 0x53, 0x48, 0x81, 0xec, 0x28, 0x01, 0, 0, 0x5b, 0xc3];
        assert_eq!(bytes(Architecture::X86_64, &x86), 8 + 16 + 0x128);
        // sub rsp, -128 written as add; and rsp, -64
        assert_eq!(
            bytes(Architecture::X86_64, &[0x48, 0x83, 0xc4, 0x80, 0x48, 0x83, 0xe4, 0xc0]),
            8 + 128 + 64
        );
        // stp x29, x30, [sp, #-32]!; sub sp, sp, #64; sub sp, sp, #1, lsl #12; add sp, sp, #64
        let arm = [0xa9be_7bfd_u32, 0xd101_03ff, 0xd140_07ff, 0x9101_03ff].map(u32::to_le_bytes).concat();
        assert_eq!(bytes(Architecture::Aarch64, &arm), 32 + 64 + 4096);
        // addi sp, sp, -16 (compressed); c.addi16sp sp, -64; addi sp, sp, -2032; addi sp, sp, 2032
        let riscv = [0x41, 0x11, 0x39, 0x71, 0x13, 0x01, 0x01, 0x81, 0x13, 0x01, 0x01, 0x7f];
        assert_eq!(bytes(Architecture::Riscv64, &riscv), 16 + 64 + 2032);
    }

    #[test]
    fn the_deepest_of_several_chains_counts() {
        let push = [0x41, 0x11];
        let program = program(Architecture::Riscv64, &[&push, &push, &push, &[]], &[(0, 3), (0, 1), (1, 2)]);
        let deepest = Stack::of(&program).and_then(|mut stack| stack.deepest(0)).expect("a chain");
        assert_eq!((deepest.bytes, deepest.frames), (48, vec![(0, 16), (1, 16), (2, 16)]));
    }

    #[test]
    fn recursion_and_frames_of_unknown_size_are_refused() {
        let program = program(Architecture::Riscv64, &[&[], &[]], &[(0, 1), (1, 0)]);
        let error = Stack::of(&program).and_then(|mut stack| stack.deepest(0)).expect_err("recursion");
        assert!(error.to_string().contains("reached from itself"), "{error}");
        assert!(lowers(Architecture::Riscv64, "sub", "sp, sp, t0").is_err());
        assert!(lowers(Architecture::X86_64, "sub", "rsp, rax").is_err());
    }
}
