// Steps through an execution: marks the step, and shows the machine after it.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const last = data.steps.length;
  const find = (id) => document.getElementById(id);
  const [stepper, slider, counter, now, panel] = ["stepper", "slider", "counter", "now", "state"].map(find);
  const buttons = [...document.querySelectorAll("[data-step]")];
  const lanes = document.querySelector(".lanes");
  const lines = new Map();
  for (const line of document.querySelectorAll("[data-at]")) lines.set(line.dataset.at, line);
  let current = -1;

  const element = (tag, name, ...children) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...children);
    return made;
  };
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  // A list of what hardware holds, with what has come since the step before marked.
  const held = (items, before) => {
    if (!items.length) return element("span", "nothing", "nothing");
    const list = element("ul", "chips");
    for (const [text, standing] of items) {
      const chip = element("li", standing, text);
      if (standing) chip.append(element("span", "tag", standing));
      if (before && !before.some((item) => same(item, [text, standing]))) chip.classList.add("new");
      list.append(chip);
    }
    return list;
  };

  const row = (name, value, fresh) => {
    const entry = element("div", fresh ? "fact new" : "fact");
    entry.append(element("dt", "", name), element("dd", "", value));
    return entry;
  };

  const where = (frame) => {
    const box = element("div", "frame");
    const title = frame.line === null ? frame.note || "main code" : `handler of interrupt ${frame.line}`;
    box.append(element("b", "", title), element("span", "next", frame.next));
    if (frame.place !== null) {
      const place = data.places[frame.place];
      const code = element("code", "place", place.code ?? "");
      code.prepend(element("span", "at", `${place.file}:${place.line} `));
      box.append(code);
    }
    return box;
  };

  const cpu = (state, number, before, moved) => {
    const card = element("section", moved ? "cpu moved" : "cpu");
    card.setAttribute("aria-label", `CPU ${number}`);
    const facts = new Map(state.facts);
    const earlier = before && new Map(before.facts);
    const head = element("h3", "", `CPU ${number}`);
    const mode = (facts.get("mode") ?? []).map(([text]) => text).join(", ");
    if (mode) head.append(element("span", "mode", mode));
    head.append(element("span", state.interrupts ? "irq" : "irq off", state.interrupts ? "interrupts on" : "interrupts off"));
    for (const line of state.pending) head.append(element("span", "irq pending", `interrupt ${line} pending`));
    card.append(head, ...state.frames.map(where).reverse());
    const list = element("dl", "");
    for (const [name, items] of state.facts) {
      if (name === "mode") continue;
      const old = earlier?.get(name);
      list.append(row(name, held(items, old), old && !same(old, items)));
    }
    const stores = state.buffer.map((text) => [text, ""]);
    list.append(row("store buffer", held(stores, before?.buffer.map((text) => [text, ""])),
      before && !same(before.buffer, state.buffer)));
    card.append(list);
    return card;
  };

  const words = (state, before, table, title) => {
    const box = element("section", "words");
    box.setAttribute("aria-label", title);
    const list = element("dl", "");
    data.words.forEach((word, index) => {
      if (word.table !== table) return;
      const [value, meaning, dead] = state.words[index];
      const old = before?.words[index];
      const changed = old && old[0] !== value;
      const shown = element("span", dead ? "value dead" : "value", table ? meaning : value);
      if (!table && meaning) shown.append(element("span", "meaning", meaning));
      if (dead) shown.append(element("span", "tag", "given back"));
      if (changed) shown.append(element("span", "was", `was ${table ? old[1] : old[0]}`));
      list.append(row(word.name, shown, changed));
    });
    if (!list.children.length) return "";
    box.append(element("h3", "", title), list);
    return box;
  };

  const shared = (state, before) => {
    if (!state.shared.length) return "";
    const box = element("section", "words given");
    box.setAttribute("aria-label", "Given away");
    const earlier = before && new Map(before.shared);
    const list = element("dl", "");
    for (const [name, items] of state.shared) {
      const old = earlier && (earlier.get(name) ?? []);
      list.append(row(name, held(items, old), old && !same(old, items)));
    }
    box.append(element("h3", "", "Given away"), list);
    return box;
  };

  const markCode = (state) => {
    for (const dot of document.querySelectorAll(".dot")) dot.remove();
    state.cpus.forEach((one, number) => {
      for (const frame of one.frames) {
        if (frame.place === null) continue;
        const { file, line } = data.places[frame.place];
        const dot = element("span", "dot", String(number));
        dot.title = `CPU ${number} is here`;
        lines.get(`${file}:${line}`)?.append(dot);
      }
    });
  };

  // Keeps the step in sight inside its own pane; the page itself stays where it is.
  const reveal = (button) => {
    const pane = lanes.getBoundingClientRect();
    const box = button.getBoundingClientRect();
    const head = 40;
    if (box.top < pane.top + head) lanes.scrollTop += box.top - pane.top - head;
    else if (box.bottom > pane.bottom) lanes.scrollTop += box.bottom - pane.bottom + 8;
    if (box.left < pane.left) lanes.scrollLeft += box.left - pane.left - 8;
    else if (box.right > pane.right) lanes.scrollLeft += box.right - pane.right + 8;
  };

  const show = (wanted, remember) => {
    const step = Math.min(Math.max(wanted, 0), last);
    if (step === current) return;
    current = step;
    const state = data.states[step];
    const before = step > 0 ? data.states[step - 1] : null;
    const moved = step > 0 ? data.steps[step - 1][0] : -1;
    for (const button of buttons) {
      const at = Number(button.dataset.step);
      if (at === step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
      button.parentElement.classList.toggle("ahead", at > step);
      if (at === step) reveal(button);
    }
    slider.value = String(step);
    slider.setAttribute("aria-valuetext", `step ${step} of ${last}`);
    counter.textContent = `${step} of ${last}`;
    const failed = step === last && data.outcome;
    now.textContent = step === 0 ? "At the start" : `CPU ${moved}: ${data.steps[step - 1][1]}`;
    if (failed) now.append(element("strong", "failed", data.outcome));
    panel.replaceChildren(
      element("div", "cpus", ...state.cpus.map((one, number) => cpu(one, number, before?.cpus[number], number === moved))),
      element("div", "memory", words(state, before, true, "Page tables"), shared(state, before), words(state, before, false, "Memory")),
    );
    markCode(state);
    for (const button of stepper.querySelectorAll("[data-go]")) {
      const end = button.dataset.go === "first" || button.dataset.go === "back" ? 0 : last;
      button.setAttribute("aria-disabled", String(step === end));
    }
    if (remember) history.replaceState(null, "", `#step=${step}`);
  };

  const target = { first: () => 0, back: () => current - 1, next: () => current + 1, last: () => last };
  stepper.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.go) show(target[button.dataset.go](), true);
    else if (button?.dataset.step) show(Number(button.dataset.step), true);
  });
  slider.addEventListener("input", () => show(Number(slider.value), true));

  const keys = { ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last" };
  document.addEventListener("keydown", (event) => {
    const go = keys[event.key];
    if (!go || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const on = event.target;
    // Fields have their own use for these keys, and so do code panes that scroll.
    if (on.closest("input:not(#slider), select, textarea, pre")) return;
    // Elsewhere Home and End move the page.
    if ((go === "first" || go === "last") && !on.closest("#stepper")) return;
    event.preventDefault();
    show(target[go](), true);
  });

  const linked = () => {
    const match = /^#step=(\d+)$/.exec(location.hash);
    return match ? Number(match[1]) : null;
  };
  addEventListener("hashchange", () => {
    const step = linked();
    if (step !== null) show(step, false);
  });
  const first = linked();
  show(first ?? 0, false);
  if (first !== null) stepper.scrollIntoView();
})();
