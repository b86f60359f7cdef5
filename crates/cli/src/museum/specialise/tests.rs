use super::super::policy::Knowledge;
use super::specialise;
use shootdown_machine::Variant::{Broken, Fixed};

/// What is left of the body of a function for a variant.
fn left(body: &str, variant: shootdown_machine::Variant) -> String {
    let source = format!("fn f() {{\n{body}}}\n");
    let lines = specialise(&source, &Knowledge::of(variant)).expect("Rust");
    let texts: Vec<String> = lines.iter().map(|line| format!("{}\n", line.text)).collect();
    syn::parse_file(&texts.concat()).expect("what is left is Rust");
    texts[1..texts.len() - 1].concat()
}

/// Demands what is left of `body` for each variant.
fn check(body: &str, broken: &str, fixed: &str) {
    assert_eq!(left(body, Broken), broken, "broken");
    assert_eq!(left(body, Fixed), fixed, "fixed");
}

#[test]
fn a_value_is_one_of_two() {
    check(
        "    let trim = if variant == Variant::Broken { Trim::All } else { Trim::Never }; // why\n    use_it(trim)\n",
        "    let trim = Trim::All; // why\n    use_it(trim)\n",
        "    let trim = Trim::Never; // why\n    use_it(trim)\n",
    );
}

#[test]
fn a_value_over_several_lines_moves_to_the_left() {
    check(
        "    let x = if self.variant == Variant::Fixed {\n        Policy {\n            a: 1,\n        }\n    } else {\n        g(b)\n    };\n",
        "    let x = g(b);\n",
        "    let x = Policy {\n        a: 1,\n    };\n",
    );
}

#[test]
fn a_value_with_statements_keeps_its_braces() {
    check(
        "    let x = if variant != Variant::Broken {\n        let y = g();\n        y + 1\n    } else {\n        // None.\n        0\n    };\n",
        "    let x = {\n        // None.\n        0\n    };\n",
        "    let x = {\n        let y = g();\n        y + 1\n    };\n",
    );
}

#[test]
fn statements_of_one_variant_move_out_and_go_with_their_comments() {
    check(
        "    a();\n\n    // The fix.\n    if self.variant == Variant::Fixed {\n        // First.\n        b(|| {\n            c();\n        });\n        d();\n    } // end\n\n    e();\n",
        "    a();\n\n    e();\n",
        "    a();\n\n    // The fix.\n    // First.\n    b(|| {\n        c();\n    });\n    d();\n    // end\n\n    e();\n",
    );
}

#[test]
fn statements_on_one_line_move_out() {
    check(
        "    if variant == Variant::Broken { a() } else { b(); }\n    c();\n",
        "    a();\n    c();\n",
        "    b();\n    c();\n",
    );
}

#[test]
fn what_a_block_binds_stays_in_it_if_statements_that_follow_use_the_name() {
    let body = "    if variant == Variant::Fixed {\n        let n = g();\n        h(n);\n    }\n";
    check(body, "", "    let n = g();\n    h(n);\n");
    check(&format!("{body}    i();\n"), "    i();\n", "    let n = g();\n    h(n);\n    i();\n");
    check(
        &format!("{body}    i(n);\n"),
        "    i(n);\n",
        "    {\n        let n = g();\n        h(n);\n    }\n    i(n);\n",
    );
}

#[test]
fn chains_lose_the_links_that_the_variant_decides() {
    check(
        "    if a {\n        x();\n    } else if self.variant == Variant::Fixed {\n        y();\n    }\n",
        "    if a {\n        x();\n    }\n",
        "    if a {\n        x();\n    } else {\n        y();\n    }\n",
    );
    check(
        "    if self.variant == Variant::Broken {\n        x();\n    } else if a {\n        y();\n    } else {\n        z();\n    }\n",
        "    x();\n",
        "    if a {\n        y();\n    } else {\n        z();\n    }\n",
    );
    check(
        "    if a {\n        x();\n    } else if variant == Variant::Broken {\n        y();\n    } else {\n        z();\n    }\n",
        "    if a {\n        x();\n    } else {\n        y();\n    }\n",
        "    if a {\n        x();\n    } else {\n        z();\n    }\n",
    );
}

#[test]
fn a_match_leaves_its_arm() {
    check(
        "    match self.variant {\n        // As it was.\n        // Really.\n        Variant::Broken => g(|| {\n            h();\n        }),\n        _ => {\n            // Mended.\n            i();\n        }\n    }\n    j();\n",
        "    // As it was.\n    // Really.\n    g(|| {\n        h();\n    });\n    j();\n",
        "    // Mended.\n    i();\n    j();\n",
    );
    check(
        "    let x = match variant {\n        Variant::Fixed | Variant::Shipped => 1,\n        Variant::Broken => 2,\n    };\n",
        "    let x = 2;\n",
        "    let x = 1;\n",
    );
}

#[test]
fn an_arm_with_a_guard_is_left_alone_unless_its_pattern_fails() {
    let body = "    match variant {\n        Variant::Fixed if late => 1,\n        _ => 2,\n    }\n";
    check(body, "    2\n", body);
}

#[test]
fn a_test_that_is_part_of_a_condition_leaves_the_rest() {
    check(
        "    if variant == Variant::Fixed && value != 0 {\n        a();\n    }\n    b();\n",
        "    b();\n",
        "    if value != 0 {\n        a();\n    }\n    b();\n",
    );
    check(
        "    if value != 0 || !(variant == Variant::Broken) {\n        a();\n    }\n",
        "    if value != 0 {\n        a();\n    }\n",
        "    a();\n",
    );
    // A load happens whatever becomes of its value.
    check(
        "    if users.load() == 1 && variant == Variant::Broken {\n        a();\n    }\n",
        "    if users.load() == 1 {\n        a();\n    }\n",
        "    if users.load() == 1 && false {\n        a();\n    }\n",
    );
}

#[test]
fn a_test_that_is_a_value_becomes_true_or_false() {
    check(
        "    new(Policy { early: variant == Variant::Broken, late: policy.variant != Variant::Broken })\n",
        "    new(Policy { early: true, late: false })\n",
        "    new(Policy { early: false, late: true })\n",
    );
}

#[test]
fn tests_inside_what_is_kept_are_decided_too() {
    check(
        "    if self.variant == Variant::Fixed {\n        if a {\n            if variant == Variant::Broken {\n                x();\n            } else {\n                y();\n            }\n        }\n    }\n",
        "",
        "    if a {\n        y();\n    }\n",
    );
}

#[test]
fn lines_keep_the_numbers_of_the_source() {
    let source =
        "fn f() {\n    a();\n    if variant == Variant::Broken {\n        b();\n    }\n    c();\n}\n";
    let numbers = |variant| -> Vec<usize> {
        specialise(source, &Knowledge::of(variant)).expect("Rust").iter().map(|line| line.number).collect()
    };
    assert_eq!(numbers(Broken), [1, 2, 4, 6, 7]);
    assert_eq!(numbers(Fixed), [1, 2, 6, 7]);
}

#[test]
fn the_facts_about_a_bug_are_left_out() {
    let source = "use a::B;\n\npub(super) const BUG: Bug = Bug {\n    name: \"x\",\n};\n\nfn f() {}\n";
    let lines: Vec<_> = specialise(source, &Knowledge::of(Broken))
        .expect("Rust")
        .into_iter()
        .map(|l| (l.number, l.text))
        .collect();
    let expected = [(1, "use a::B;"), (2, ""), (7, "fn f() {}")];
    assert_eq!(lines, expected.map(|(number, text)| (number, text.to_owned())));
}

#[test]
fn what_is_not_rust_is_refused() {
    assert!(specialise("fn f( {", &Knowledge::of(Broken)).is_err());
}

#[test]
fn every_model_of_the_corpus_is_specialised_without_a_test_of_the_variant_left() {
    let mut differ = 0;
    for bug in shootdown_cases::bugs::all() {
        for (name, source) in bug.code {
            let [broken, fixed] = [Broken, Fixed].map(|variant| {
                let lines = specialise(source, &Knowledge::read(bug.code, variant))
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                let text: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
                syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}, {variant:?}: {error}\n{text}"));
                for left in ["variant ==", "variant !=", "match variant", "match self.variant"] {
                    assert!(!text.contains(left), "{name}: {left:?} is left");
                }
                text
            });
            differ += usize::from(broken != fixed);
        }
    }
    assert!(differ >= shootdown_cases::bugs::all().count(), "each bug's variants differ in its code");
}
