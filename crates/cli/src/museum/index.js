// Filters the cards; what is chosen stands in the address, so that it can be passed on.
(() => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const [text, kind, kernel, rule, needs, year, shown, none] =
    ["text", "class", "kernel", "rule", "needs", "year", "shown", "none"].map(find);
  const cards = [...document.querySelectorAll(".card")];
  const sections = [...document.querySelectorAll(".class")];
  const bars = [...document.querySelectorAll(".timeline button")];
  const fields = { q: text, class: kind, kernel, rule, needs, year };
  const needed = (of) => !needs.value || (needs.value === "weaker" ? of !== "sc" : of === needs.value);

  const filter = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const card of cards) {
      const { dataset } = card;
      const fits =
        (!kind.value || dataset.class === kind.value) &&
        (!kernel.value || dataset.kernel === kernel.value) &&
        (!rule.value || dataset.rules.split(" ").includes(rule.value)) &&
        (!year.value || dataset.year === year.value) &&
        needed(dataset.needs) &&
        wanted.every((word) => dataset.text.includes(word));
      card.hidden = !fits;
      count += Number(fits);
    }
    for (const section of sections) section.hidden = !section.querySelector(".card:not([hidden])");
    for (const bar of bars) bar.setAttribute("aria-pressed", String(bar.dataset.year === year.value));
    shown.textContent = `${count} of ${cards.length}`;
    none.hidden = count > 0;
  };

  const remember = () => {
    const chosen = new URLSearchParams();
    for (const [name, field] of Object.entries(fields)) if (field.value) chosen.set(name, field.value);
    const query = chosen.toString();
    history.replaceState(null, "", query ? `#${query}` : location.pathname);
  };
  const restore = () => {
    const chosen = new URLSearchParams(location.hash.slice(1));
    for (const [name, field] of Object.entries(fields)) field.value = chosen.get(name) ?? "";
    filter();
  };

  const form = document.querySelector(".filters");
  // A search tells of each letter, a choice in some browsers only of its end.
  for (const event of ["input", "change"]) form.addEventListener(event, () => { filter(); remember(); });
  for (const bar of bars) bar.addEventListener("click", () => {
    year.value = year.value === bar.dataset.year ? "" : bar.dataset.year;
    filter();
    remember();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { filter(); remember(); }));
  addEventListener("hashchange", () => { if (location.hash.includes("=")) restore(); });
  if (location.hash.includes("=")) restore();
})();
