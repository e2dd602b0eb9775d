// Menus over a table that says which of its columns rows are chosen by (data-filters). Without
// scripts the whole table stands there.
(() => {
  "use strict";

  const ALL = "all";

  function menu(heading, values) {
    const label = document.createElement("label");
    const select = document.createElement("select");
    for (const value of [ALL, ...values]) select.add(new Option(value, value));
    label.append(`${heading} `, select);
    return { label, select };
  }

  function attach(box) {
    const rows = [...box.querySelectorAll("tbody tr")];
    const headings = [...box.querySelectorAll("thead th")].map((cell) => cell.textContent);
    const bar = document.createElement("div");
    const count = document.createElement("output");
    bar.className = "pepr-filter";
    const menus = box.dataset.filters.split(" ").map((place) => {
      const texts = rows.map((row) => row.cells[place].textContent);
      return { ...menu(headings[place], [...new Set(texts)]), texts };
    });
    function choose() {
      rows.forEach((row, i) => {
        row.hidden = !menus.every(({ select, texts }) => [ALL, texts[i]].includes(select.value));
      });
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    }
    for (const { label, select } of menus) {
      select.addEventListener("change", choose);
      bar.append(label);
    }
    bar.append(count);
    box.before(bar);
    choose();
  }

  function start() {
    document.querySelectorAll(".pepr-table-box[data-filters]").forEach(attach);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
