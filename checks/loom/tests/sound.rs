//! The engine, with its orderings as shipped, under loom.

#[macro_use]
mod scenarios;
mod support;

macro_rules! tests {
    ($($module:ident::$name:ident,)*) => {$(
        #[test]
        fn $name() {
            scenarios::$module::$name();
        }
    )*};
}
with_scenarios!(tests);
