(() => {
  "use strict";
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    root.style.colorScheme = dark ? "light" : "dark";
  });
  const number = text => text === "" ? NaN : Number(text);
  const sort = head => {
    const table = head.closest("table"), body = table.tBodies[0], column = [...head.parentNode.children].indexOf(head);
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.children[column].dataset.value;
    const order = (a, b) => {
      const x = number(value(a)), y = number(value(b));
      const less = Number.isNaN(x) || Number.isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
      return up ? less : -less;
    };
    body.append(...[...body.rows].sort(order));
  };
  for (const head of document.querySelectorAll("th[data-sort]")) {
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(head); } });
  }
  const hint = () => document.querySelectorAll(".wide").forEach(box => box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 1));
  new ResizeObserver(hint).observe(root);
  const tip = document.getElementById("tip");
  const show = event => {
    const mark = event.target.closest("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 260)}px`;
    tip.style.top = `${event.clientY + 14}px`;
  };
  for (const kind of ["pointerover", "pointerdown"]) document.addEventListener(kind, show);
})();
