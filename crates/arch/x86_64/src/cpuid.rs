//! What CPUID answers.

/// The four registers that one CPUID leaf answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// The leaves that are looked at; a leaf that the CPU lacks is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaves {
    /// EBX, EDX and ECX of leaf 0: the vendor's name.
    pub vendor: [u32; 3],
    /// Leaf 1.
    pub basic1: Leaf,
    /// Leaf 7, sub-leaf 0.
    pub basic7: Leaf,
    /// Leaf 8000_0008.
    pub extended8: Leaf,
    /// Leaf 8000_000A, which [`crate::guest::Svm`] decodes.
    pub extended_a: Leaf,
}
