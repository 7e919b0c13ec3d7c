"use strict";

// The button that turns light into dark and back.
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const toggle = document.getElementById("theme");
const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
const label = () => {
  toggle.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
  toggle.title = toggle.getAttribute("aria-label");
};
toggle.hidden = false;
toggle.addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("actionpipe-theme", theme); } catch { /* kept for this visit only */ }
  label();
});
systemDark.addEventListener("change", label);
label();

// One tooltip for all. What it says is always set as text, never as markup.
const tip = document.getElementById("tip");
const showTip = (lines, x, y) => {
  tip.replaceChildren(...lines.map((line) => {
    const row = document.createElement("div");
    row.textContent = line;
    return row;
  }));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x - box.width / 2), document.documentElement.clientWidth - box.width - 8);
  const above = y - box.height - 12;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above > 8 ? above : y + 20}px`;
};
const hideTip = () => { tip.hidden = true; };
const tipOf = (element) => {
  const box = element.getBoundingClientRect();
  showTip(element.dataset.tip.split("\n"), box.left + box.width / 2, box.top);
};
document.addEventListener("pointerover", (event) => {
  const element = event.target.closest?.("[data-tip]");
  if (element) tipOf(element); else if (!event.target.closest?.("[data-lines]")) hideTip();
});
document.addEventListener("focusin", (event) => { if (event.target.matches("[data-tip]")) tipOf(event.target); });
document.addEventListener("focusout", hideTip);
document.addEventListener("scroll", hideTip, { passive: true, capture: true });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

// Groups of marks are one stop of the Tab key; arrows move inside.
for (const group of document.querySelectorAll("[data-rove]")) {
  const marks = [...group.querySelectorAll("[data-tip]")];
  const columns = Number(group.dataset.rove) || 1;
  marks.forEach((mark, index) => mark.setAttribute("tabindex", index ? "-1" : "0"));
  group.addEventListener("keydown", (event) => {
    const at = marks.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (at < 0 || !step || !marks[at + step]) return;
    event.preventDefault();
    marks[at].setAttribute("tabindex", "-1");
    marks[at + step].setAttribute("tabindex", "0");
    marks[at + step].focus();
  });
}

// Curves: a hair line at the epoch under the pointer (or moved by arrows) and the value of every series there.
for (const chart of document.querySelectorAll("[data-lines]")) {
  const series = JSON.parse(chart.dataset.lines);
  const places = [...new Set(series.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
  const hair = chart.querySelector(".hair");
  const dots = [...chart.querySelectorAll(".dot")];
  let at = -1;
  const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
  const show = () => {
    const x = places[at];
    const lines = [];
    let top = Infinity;
    series.forEach((line, index) => {
      const point = nearest(line.points, x);
      dots[index].setAttribute("cx", point[0]);
      dots[index].setAttribute("cy", point[1]);
      top = Math.min(top, point[1]);
      lines.push(`${line.name}: ${point[3]} at epoch ${point[2]}`);
    });
    hair.setAttribute("d", `M${x} ${chart.dataset.top}V${chart.dataset.bottom}`);
    chart.classList.add("active");
    const box = chart.getBoundingClientRect();
    const scale = box.width / chart.viewBox.baseVal.width;
    showTip(lines, box.left + x * scale, box.top + top * scale);
  };
  const hide = () => { chart.classList.remove("active"); hideTip(); };
  const point = (event) => {
    const box = chart.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * chart.viewBox.baseVal.width;
    at = places.reduce((best, place, index) => (Math.abs(place - x) < Math.abs(places[best] - x) ? index : best), 0);
    show();
  };
  chart.addEventListener("pointermove", point);
  chart.addEventListener("pointerdown", point);
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("focus", () => { if (at < 0) at = places.length - 1; show(); });
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.min(Math.max(at + step, 0), places.length - 1);
    show();
  });
}

// On a small screen the table of contents is folded up.
if (matchMedia("(max-width: 63.99rem)").matches) document.querySelector(".contents details").open = false;

// The table of contents says where the reader is.
const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-10% 0px -75% 0px" });
for (const section of document.querySelectorAll("main section")) seen.observe(section);
