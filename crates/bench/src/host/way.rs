/// A way to make other threads forget.
pub(super) trait Way {
    fn name(&self) -> &'static str;
    /// Flushes once.
    fn flush(&mut self);
}
