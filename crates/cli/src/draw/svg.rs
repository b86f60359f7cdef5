//! An execution as a picture: one column of boxes per CPU, time running down.

use shootdown_explore::{Action, Step, Trace};
use svg::Document;
use svg::node::element::{Definitions, Group, Line, Marker, Path, Rectangle, Text, Title};

/// Width of a column's boxes.
const BOX: usize = 300;
/// From one column to the next.
const COLUMN: usize = BOX + 24;
/// Around everything.
const MARGIN: usize = 24;
/// From one line of text to the next.
const LINE: usize = 16;
/// Between a box's edge and its text.
const PAD: usize = 8;
/// Between two boxes.
const GAP: usize = 6;
/// Indent of one level of interrupt handlers.
const INDENT: usize = 14;
/// Width of a character of the monospaced font, rounded up: text that is measured too wide still fits.
const CHARACTER: usize = 8;

const INK: &str = "#1b1f24";
const AMBER: &str = "#d4a72c";
const RED: &str = "#b3261e";

/// Draws `trace` on a machine with `cpus` CPUs, under the case's name and what it is about.
pub fn draw(trace: &Trace, cpus: usize, name: &str, about: &str) -> String {
    let lanes = super::lanes(trace, cpus);
    let width = 2 * MARGIN + lanes * COLUMN;
    let about = wrap(about, width - 2 * MARGIN);
    let head = MARGIN + (3 + about.len()) * LINE;
    let mut y = head + LINE;
    let mut boxes = Group::new();
    let mut places = Vec::new();
    for ((at, step), heading) in trace.steps.iter().enumerate().zip(super::headings(trace, lanes)) {
        let x = MARGIN + step.mov.cpu * COLUMN;
        if let Some(heading) = heading {
            let lines = wrap(heading, BOX);
            boxes = lines.iter().enumerate().fold(boxes, |group, (n, line)| {
                group.add(text(x, y + (n + 1) * LINE, line, INK).set("font-weight", "bold"))
            });
            y += lines.len() * LINE + GAP;
        }
        let fatal = at + 1 == trace.steps.len() && !trace.outcome.is_empty();
        let (drawn, height) = step_box(step, at + 1, x, y, fatal);
        boxes = boxes.add(drawn);
        places.push((x, INDENT * usize::from(step.depth), y + height / 2));
        y += height + GAP;
    }
    for (from, to) in super::interrupts::interrupts(trace) {
        boxes = boxes.add(arrow(places[from], places[to]));
    }
    let lines_of_time = y;
    if !trace.outcome.is_empty() {
        let (drawn, height) = outcome(&trace.outcome, width - 2 * MARGIN, y + GAP);
        boxes = boxes.add(drawn);
        y += height + 2 * GAP;
    }
    let height = y + MARGIN;
    let background = Rectangle::new().set("width", width).set("height", height).set("fill", "#ffffff");
    let document = Document::new()
        .set("width", width)
        .set("height", height)
        .set("viewBox", (0, 0, width, height))
        .set("font-family", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
        .set("font-size", 12)
        .add(Title::new(name))
        .add(Definitions::new().add(arrow_head()))
        .add(background)
        .add(text(MARGIN, MARGIN + LINE / 2, name, INK).set("font-weight", "bold").set("font-size", 15));
    let document = about.iter().enumerate().fold(document, |document, (n, line)| {
        document.add(text(MARGIN, MARGIN + LINE / 2 + (n + 1) * LINE, line, INK))
    });
    let document = (0..lanes).fold(document, |document, cpu| document.add(lane(cpu, head, lines_of_time)));
    format!("{}\n", document.add(boxes))
}

/// Draws the name of `cpu` and its line of time.
fn lane(cpu: usize, top: usize, bottom: usize) -> Group {
    let x = MARGIN + cpu * COLUMN;
    let middle = x + BOX / 2;
    let line = Line::new()
        .set("x1", middle)
        .set("x2", middle)
        .set("y1", top + GAP)
        .set("y2", bottom)
        .set("stroke", "#d0d7de")
        .set("stroke-dasharray", "3 4");
    Group::new().add(line).add(text(x, top, &format!("CPU {cpu}"), INK).set("font-weight", "bold"))
}

/// Draws one step with its top left corner at `x`, `y`; returns its height too.
fn step_box(step: &Step, number: usize, x: usize, y: usize, fatal: bool) -> (Group, usize) {
    let indent = INDENT * usize::from(step.depth);
    let lines = wrap(&format!("{number}  {}", step.text), BOX - indent - 2 * PAD);
    let height = lines.len() * LINE + PAD;
    let (fill, stroke) = match step.mov.action {
        _ if fatal => ("#fdecea", RED),
        Action::Run | Action::Choose(_) => ("#f6f8fa", "#afb8c1"),
        Action::Drain(_) | Action::Older(_) => ("#e7f5fb", "#6cb2d3"),
        Action::Interrupt(_) => ("#fff5d6", AMBER),
    };
    let frame = Rectangle::new()
        .set("x", x + indent)
        .set("y", y)
        .set("width", BOX - indent)
        .set("height", height)
        .set("rx", 4)
        .set("fill", fill)
        .set("stroke", stroke);
    let mut group = Group::new();
    if let Some(place) = step.place {
        group = group.add(Title::new(format!("{}:{}", place.file(), place.line())));
    }
    let ink = if fatal { RED } else { INK };
    let group = lines.iter().enumerate().fold(group.add(frame), |group, (n, line)| {
        group.add(text(x + indent + PAD, y + (n + 1) * LINE, line, ink))
    });
    (group, height)
}

/// Draws an arrow from the middle of one column's box to another's, on the sides that face each other.
/// Boxes are given as column, indent and height on the page.
fn arrow(from: (usize, usize, usize), to: (usize, usize, usize)) -> Line {
    let right = from.0 <= to.0;
    let (start, end) = if right { (from.0 + BOX, to.0 + to.1) } else { (from.0 + from.1, to.0 + BOX) };
    Line::new()
        .set("x1", start)
        .set("y1", from.2)
        .set("x2", end)
        .set("y2", to.2)
        .set("stroke", AMBER)
        .set("stroke-width", 2)
        .set("marker-end", "url(#head)")
}

fn arrow_head() -> Marker {
    Marker::new()
        .set("id", "head")
        .set("viewBox", "0 0 8 8")
        .set("refX", 8)
        .set("refY", 4)
        .set("markerWidth", 6)
        .set("markerHeight", 6)
        .set("orient", "auto")
        .add(Path::new().set("d", "M0,0 L8,4 L0,8 z").set("fill", AMBER))
}

/// Draws what went wrong, across all columns; returns its height too.
fn outcome(what: &str, width: usize, y: usize) -> (Group, usize) {
    let lines = wrap(what, width - 2 * PAD);
    let height = lines.len() * LINE + 2 * PAD;
    let frame = Rectangle::new()
        .set("x", MARGIN)
        .set("y", y)
        .set("width", width)
        .set("height", height)
        .set("rx", 4)
        .set("fill", "#fdecea")
        .set("stroke", RED)
        .set("stroke-width", 2);
    let group = lines.iter().enumerate().fold(Group::new().add(frame), |group, (n, line)| {
        let line = text(MARGIN + PAD, y + PAD / 2 + (n + 1) * LINE, line, RED);
        group.add(line.set("font-weight", "bold"))
    });
    (group, height)
}

fn text(x: usize, y: usize, content: &str, colour: &str) -> Text {
    // XML 1.0 has no way to write most control characters, escaped or not.
    let content: String = content.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Text::new(content).set("x", x).set("y", y).set("fill", colour)
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    textwrap::wrap(text, (width / CHARACTER).max(8)).into_iter().map(std::borrow::Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::testing::trace;
    use roxmltree::Document;

    #[test]
    fn the_picture_is_well_formed_and_says_all_that_happened() {
        let picture = draw(&trace("\"a\" & 'b' <c> ]]> \u{1}"), 3, "linux-x", "<A> & B");
        let document = Document::parse(&picture).expect("well-formed XML");
        let said: Vec<&str> = document.descendants().filter_map(|n| n.text()).map(str::trim).collect();
        for expected in [
            "linux-x",
            "<A> & B",
            "CPU 0",
            "CPU 2",
            "unmap page 0",
            "2  takes interrupt 0 <ipi>",
            "\"a\" & 'b' <c> ]]>",
        ] {
            assert!(said.contains(&expected), "{expected:?} is missing in {said:?}");
        }
    }

    #[test]
    fn all_boxes_lie_within_the_picture() {
        let picture = draw(&trace("frame 1 is reused"), 2, "x", "y");
        let document = Document::parse(&picture).expect("well-formed XML");
        let number = |node: roxmltree::Node<'_, '_>, name| -> usize {
            node.attribute(name).unwrap_or("0").parse().expect("a whole number")
        };
        let root = document.root_element();
        let (width, height) = (number(root, "width"), number(root, "height"));
        let boxes: Vec<_> = document.descendants().filter(|n| n.has_tag_name("rect")).collect();
        assert_eq!(boxes.len(), 1 + 3 + 1, "background, steps, outcome");
        for node in boxes {
            assert!(number(node, "x") + number(node, "width") <= width);
            assert!(number(node, "y") + number(node, "height") <= height);
        }
    }

    #[test]
    fn an_arrow_leads_from_the_raise_to_the_handler() {
        let mut trace = trace("");
        trace.steps[0].text = "raises interrupt 0 on CPU 1".to_owned();
        let picture = draw(&trace, 2, "x", "y");
        let document = Document::parse(&picture).expect("well-formed XML");
        let arrows = document.descendants().filter(|n| n.attribute("marker-end").is_some()).count();
        assert_eq!(arrows, 1);
    }

    #[test]
    fn only_a_violation_is_red() {
        assert!(draw(&trace("x"), 2, "x", "y").contains(super::RED));
        assert!(!draw(&trace(""), 2, "x", "y").contains(super::RED));
    }
}
