// Tables: sort by a heading, methods and controls apart; show one protocol of a set.
"use strict";

function sortRows(heading) {
  const table = heading.closest("table");
  const column = columnOf(heading);
  const first = [...table.querySelectorAll("tbody tr:not(.part)")].map((row) => row.cells[column].dataset.value);
  const numeric = first.every((text) => text === "" || Number.isFinite(Number(text)));
  const falling = heading.ariaSort === "none" ? numeric : heading.ariaSort !== "descending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.ariaSort = "none";
  heading.ariaSort = falling ? "descending" : "ascending";
  for (const body of table.tBodies) {
    const rows = [...body.querySelectorAll("tr:not(.part)")];
    rows.sort((a, b) => compare(a.cells[column].dataset.value, b.cells[column].dataset.value, numeric, falling));
    body.append(...rows);
  }
}

// Undefined values stay last in either direction.
function compare(a, b, numeric, falling) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const order = numeric ? Number(a) - Number(b) : a.localeCompare(b);
  return falling ? -order : order;
}

// Headings that span two rows come first, so a heading of the second row counts from behind them.
function columnOf(heading) {
  const row = heading.parentElement;
  const before = row.rowIndex === 0 ? 0 : row.parentElement.rows[0].querySelectorAll("[rowspan]").length;
  return before + [...row.cells].indexOf(heading);
}

for (const button of document.querySelectorAll(".sortable th button")) {
  button.addEventListener("click", () => sortRows(button.parentElement));
}

for (const select of document.querySelectorAll(".block-filter")) {
  select.addEventListener("change", () => {
    for (const block of select.closest(".set").querySelectorAll(".block")) {
      block.hidden = select.value !== "" && block.dataset.block !== select.value;
    }
  });
}
