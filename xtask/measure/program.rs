//! A static library as a graph: functions and constants, and what refers to what.

use anyhow::{Context, Result, ensure};
use object::read::archive::ArchiveFile;
use object::{
    Architecture, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
    SectionKind, SymbolKind, SymbolSection, elf,
};
use std::collections::{BTreeMap, HashMap};

/// A library whose references are resolved.
#[derive(Debug)]
pub struct Program {
    /// What it is for.
    pub architecture: Architecture,
    /// Functions, constants, and names that no object defines.
    pub nodes: Vec<Node>,
}

/// A function, a constant, or a name without a definition.
#[derive(Debug)]
pub struct Node {
    /// Its name, demangled.
    pub name: String,
    /// Names of other functions that the compiler found to be the same.
    pub aliases: Vec<String>,
    /// Which of the three.
    pub kind: Kind,
    /// Its bytes; none without a definition.
    pub bytes: Vec<u8>,
    /// What it refers to, by index and in the order of its bytes.
    pub refers: Vec<Reference>,
}

impl Node {
    /// Makes a node that refers to nothing.
    pub fn new(name: &str, kind: Kind, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), aliases: Vec::new(), kind, bytes, refers: Vec::new() }
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

/// What a [`Node`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Machine code.
    Code,
    /// A section of constants or variables.
    Data,
    /// Defined nowhere in the library.
    External,
}

/// One reference, which may be a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Index of the node.
    pub to: usize,
    /// How far from the node's beginning. A call leads to the beginning.
    pub offset: u64,
}

/// Where a function or a section of an object is among the nodes.
#[derive(Default)]
struct Places {
    /// Functions of a section, by their offsets.
    code: HashMap<(usize, SectionIndex), BTreeMap<u64, usize>>,
    data: HashMap<(usize, SectionIndex), usize>,
    /// Names that other objects can refer to.
    names: HashMap<String, usize>,
}

impl Program {
    /// Reads a static library.
    ///
    /// # Errors
    /// It is none, or holds objects of several architectures.
    pub fn read(library: &[u8]) -> Result<Self> {
        let archive = ArchiveFile::parse(library).context("not a library")?;
        let mut objects = Vec::new();
        for member in archive.members() {
            // Besides objects there may be a file of metadata.
            objects.extend(object::File::parse(member?.data(library)?).ok());
        }
        let architecture = objects.first().context("no object in the library")?.architecture();
        let mut program = Self { architecture, nodes: Vec::new() };
        let mut places = Places::default();
        for (number, object) in objects.iter().enumerate() {
            ensure!(object.architecture() == architecture, "objects of several architectures");
            program.define(number, object, &mut places)?;
        }
        for (number, object) in objects.iter().enumerate() {
            program.refer(number, object, &mut places)?;
        }
        Ok(program)
    }

    /// The functions named `group.NAME`, by NAME.
    pub fn group(&self, group: &str) -> BTreeMap<&str, usize> {
        let functions = self.nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Code);
        let names = functions.flat_map(|(index, node)| node.names().map(move |name| (name, index)));
        let in_group = names.filter_map(|(name, index)| Some((name.strip_prefix(group)?, index)));
        in_group.filter_map(|(name, index)| Some((name.strip_prefix('.')?, index))).collect()
    }

    /// Makes nodes of the functions and constants of an object.
    fn define(&mut self, number: usize, object: &object::File<'_>, places: &mut Places) -> Result<()> {
        for symbol in object.symbols() {
            let SymbolSection::Section(at) = symbol.section() else { continue };
            let section = object.section_by_index(at)?;
            let is_function = symbol.kind() == SymbolKind::Text && symbol.size() > 0;
            if section.kind() == SectionKind::Text && is_function {
                let offsets = places.code.entry((number, at)).or_default();
                let node = *offsets.entry(symbol.address()).or_insert(self.nodes.len());
                let name = demangled(symbol.name()?);
                if let Some(known) = self.nodes.get_mut(node) {
                    known.aliases.push(name);
                } else {
                    let bytes = section.data_range(symbol.address(), symbol.size())?;
                    let bytes = bytes.context("code beyond its section")?.to_vec();
                    self.nodes.push(Node::new(&name, Kind::Code, bytes));
                }
                if symbol.is_global() {
                    places.names.entry(symbol.name()?.to_owned()).or_insert(node);
                }
            }
        }
        for section in object.sections() {
            let is_data = matches!(
                section.kind(),
                SectionKind::Data
                    | SectionKind::ReadOnlyData
                    | SectionKind::ReadOnlyDataWithRel
                    | SectionKind::ReadOnlyString
                    | SectionKind::UninitializedData
            );
            if is_data {
                places.data.insert((number, section.index()), self.nodes.len());
                self.nodes.push(Node::new(section.name()?, Kind::Data, section.data()?.to_vec()));
            }
        }
        for symbol in object.symbols().filter(|symbol| symbol.is_global()) {
            let data = symbol.section_index().and_then(|at| places.data.get(&(number, at)));
            if let Some(&node) = data {
                places.names.entry(symbol.name()?.to_owned()).or_insert(node);
            }
        }
        Ok(())
    }

    /// Reads the relocations of an object.
    fn refer(&mut self, number: usize, object: &object::File<'_>, places: &mut Places) -> Result<()> {
        for section in object.sections() {
            let at = (number, section.index());
            for (offset, relocation) in section.relocations() {
                let from = match (places.data.get(&at), places.code.get(&at)) {
                    (Some(&data), _) => data,
                    (None, Some(functions)) => {
                        let Some((_, &function)) = functions.range(..=offset).next_back() else { continue };
                        function
                    }
                    (None, None) => break,
                };
                let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
                let Ok(symbol) = object.symbol_by_index(symbol) else { continue };
                let place = place(self.architecture, relocation.flags(), relocation.addend());
                let Some(place) = place else { continue };
                if let Some(to) = self.resolve(number, &symbol, place, places)? {
                    self.nodes[from].refers.push(to);
                }
            }
        }
        Ok(())
    }

    fn resolve<'data>(
        &mut self,
        number: usize,
        symbol: &impl ObjectSymbol<'data>,
        addend: i64,
        places: &mut Places,
    ) -> Result<Option<Reference>> {
        let name = symbol.name()?;
        if symbol.is_undefined() {
            if name.is_empty() {
                return Ok(None);
            }
            let fresh = self.nodes.len();
            let to = *places.names.entry(name.to_owned()).or_insert(fresh);
            if to == fresh {
                self.nodes.push(Node::new(&demangled(name), Kind::External, Vec::new()));
            }
            return Ok(Some(Reference { to, offset: 0 }));
        }
        let Some(section) = symbol.section_index() else { return Ok(None) };
        let offset = symbol.address().wrapping_add_signed(addend);
        if let Some(functions) = places.code.get(&(number, section)) {
            let found = functions.range(..=offset).next_back();
            return Ok(found.map(|(begin, &to)| Reference { to, offset: offset - begin }));
        }
        let to = places.data.get(&(number, section));
        Ok(to.map(|&to| Reference { to, offset }))
    }
}

/// Where in what it names a relocation points; nothing for those that only help the linker or stay in their function.
fn place(architecture: Architecture, flags: RelocationFlags, addend: i64) -> Option<i64> {
    let RelocationFlags::Elf { r_type } = flags else { return Some(addend) };
    match (architecture, r_type) {
        // The addend counts from the end of the instruction's field.
        (
            Architecture::X86_64,
            elf::R_X86_64_PC32
            | elf::R_X86_64_PLT32
            | elf::R_X86_64_GOTPCREL
            | elf::R_X86_64_GOTPCRELX
            | elf::R_X86_64_REX_GOTPCRELX,
        ) => Some(addend + 4),
        (
            Architecture::Riscv64,
            elf::R_RISCV_BRANCH
            | elf::R_RISCV_JAL
            | elf::R_RISCV_RVC_BRANCH
            | elf::R_RISCV_RVC_JUMP
            | elf::R_RISCV_PCREL_LO12_I
            | elf::R_RISCV_PCREL_LO12_S
            | elf::R_RISCV_RELAX
            | elf::R_RISCV_ALIGN,
        ) => None,
        _ => Some(addend),
    }
}

/// Name without the hash that tells two versions of a crate apart.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
