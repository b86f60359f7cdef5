//! Names of addresses in a kernel's image.

use object::{Object, ObjectSymbol, SymbolKind};
use std::path::Path;

/// Functions of an image, by address.
#[derive(Debug, Default)]
pub struct Symbols(Vec<(u64, String)>);

impl Symbols {
    /// Reads the functions of an image; none if it cannot be read.
    pub fn of(image: &Path) -> Self {
        let bytes = std::fs::read(image).unwrap_or_default();
        let Ok(file) = object::File::parse(&*bytes) else { return Self::default() };
        let mut functions: Vec<(u64, String)> = file
            .symbols()
            .filter(|symbol| {
                matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown)
            })
            .filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?)))
            .filter(|(address, name)| *address > 0 && !name.is_empty() && !name.starts_with(['$', '.']))
            .map(|(address, name)| (address, format!("{:#}", rustc_demangle::demangle(name))))
            .collect();
        functions.sort();
        Self(functions)
    }

    /// Where a function begins.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(_, candidate)| candidate == name).map(|(address, _)| *address)
    }

    /// Where the first function begins whose name ends so, and where the next begins.
    pub fn range(&self, ending: &str) -> Option<(u64, u64)> {
        let index = self.0.iter().position(|(_, name)| name.ends_with(ending))?;
        let (begin, _) = self.0[index];
        let next = self.0[index..].iter().find(|(address, _)| *address > begin)?;
        Some((begin, next.0))
    }

    /// The address to which a call returns, with the function that made the call: one that never returns may be the
    /// last instruction of its function.
    pub fn caller(&self, returns_to: u64) -> String {
        self.name(returns_to.saturating_sub(1))
    }

    /// An address with the function that it is in.
    pub fn name(&self, address: u64) -> String {
        let after = self.0.partition_point(|(begin, _)| *begin <= address);
        match after.checked_sub(1).and_then(|index| self.0.get(index)) {
            Some((begin, name)) => format!("{address:#x} {name}+{:#x}", address - begin),
            None => format!("{address:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Symbols;
    use std::path::Path;

    #[test]
    fn addresses_are_named_by_the_function_that_begins_before_them() {
        let symbols = Symbols(vec![(0x1000, "first".into()), (0x2000, "second".into())]);
        assert_eq!(symbols.name(0x1010), "0x1010 first+0x10");
        assert_eq!(symbols.name(0x2000), "0x2000 second+0x0");
        assert_eq!(symbols.caller(0x2000), "0x1fff first+0xfff");
        assert_eq!(symbols.name(0x10), "0x10");
        assert_eq!(symbols.range("irst"), Some((0x1000, 0x2000)));
        assert_eq!((symbols.address("second"), symbols.address("third")), (Some(0x2000), None));
        assert_eq!(Symbols::of(Path::new("no/such/image")).name(0x10), "0x10");
    }
}
