"use strict";
(() => {
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.style.colorScheme = now === "dark" ? "light" : "dark";
  });

  const tip = document.getElementById("tip");
  const show = (mark) => {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const at = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2 - own.width / 2), root.clientWidth - own.width - 8);
    const above = at.top - own.height - 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : at.bottom + 6}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const mark = event.target.closest("[data-tip]");
      if (mark) { show(mark); } else { hide(); }
    });
  }
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { passive: true });
  const rasters = JSON.parse(document.getElementById("rasters").textContent);
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) { made.textContent = text; }
    if (kind) { made.className = kind; }
    return made;
  };
  const train = (title, own, other) => {
    const row = element("tr");
    row.append(element("th", title));
    own.forEach((fires, t) => {
      const cell = element("td", undefined, fires === other[t] ? "" : "differs");
      const mark = element("span", undefined, fires ? "cell on" : "cell");
      const often = fires > 1 ? `fires ${fires} times` : fires ? "fires" : "silent";
      cell.dataset.tip = `${title}, t = ${t}: ${often}`;
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", often);
      if (fires > 1) { mark.textContent = fires; }
      cell.append(mark);
      row.append(cell);
    });
    return row;
  };
  const open = (panel, stage, layer, t) => {
    const found = (rasters[stage]?.[layer] ?? []).filter((one) => one.a[t] !== one.b[t]);
    panel.replaceChildren(element("h4", `${layer}, t = ${t}: some of the neurons that part`));
    const list = element("div", undefined, "rasters");
    for (const one of found) {
      const table = element("table");
      table.append(element("caption", `sample ${one.sample}, neuron ${one.neuron.join(", ")}`), train("this stage", one.a, one.b), train("reference", one.b, one.a));
      for (const [title, values] of [["threshold", one.threshold], ["as integer", one.mantissa]]) {
        if (!values) { continue; }
        const row = element("tr");
        row.append(element("th", title));
        values.forEach((value) => row.append(element("td", value === null ? "never" : Number(value.toPrecision(4)), "n")));
        table.append(row);
      }
      const frame = element("div");
      frame.append(table);
      list.append(frame);
    }
    panel.append(list);
    panel.hidden = false;
  };
  document.querySelectorAll(".heat button").forEach((button) => {
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const stage = button.closest("table").dataset.stage;
      const panel = [...document.querySelectorAll(".drill")].find((one) => one.dataset.for === stage);
      const was = button.getAttribute("aria-expanded") === "true";
      document.querySelectorAll(".heat button").forEach((other) => other.setAttribute("aria-expanded", "false"));
      document.querySelectorAll(".drill").forEach((other) => { other.hidden = true; });
      if (was) { return; }
      button.setAttribute("aria-expanded", "true");
      open(panel, stage, button.dataset.layer, Number(button.dataset.t));
    });
  });

  const hint = () => document.querySelectorAll(".wide").forEach((box) => {
    box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 1);
  });
  new ResizeObserver(hint).observe(root);
  document.querySelectorAll("details").forEach((d) => d.addEventListener("toggle", hint));

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
})();
