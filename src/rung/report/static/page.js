// Unpacks the libraries that the page holds, draws its figures, follows light, dark and paper, and makes tables sort and copy.
"use strict";
(() => {
  const root = document.documentElement;
  const COLOURS = {"#1f2733": "--ink", "#66707f": "--muted", "#e8ebf0": "--grid", "#c6ccd6": "--axis", "#ffffff": "--paper"};
  const PAPER = {"--ink": "#1f2733", "--muted": "#66707f", "--grid": "#e8ebf0", "--axis": "#c6ccd6", "--paper": "#ffffff"};
  const PAPER_WIDTH = 680;
  const CONFIG = {displaylogo: false, displayModeBar: false, responsive: false};

  const unpack = async (place) => {
    const bytes = Uint8Array.from(atob(place.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  // A library is a script of its own, so that it finds the page as it would from a file.
  const load = async (name) => {
    const script = document.createElement("script");
    script.textContent = await unpack(document.getElementById(`library-${name}`));
    document.head.append(script);
  };

  const themed = (text, paper) => {
    const style = getComputedStyle(root);
    return text.replace(/#1f2733|#66707f|#e8ebf0|#c6ccd6|#ffffff/g, (colour) => {
      const name = COLOURS[colour];
      return paper ? PAPER[name] : style.getPropertyValue(name).trim();
    });
  };

  const draw = (plot, paper = false) => {
    const {data, layout} = JSON.parse(themed(plot.nextElementSibling.textContent, paper));
    const room = plot.clientWidth;
    layout.width = paper ? Math.min(room || PAPER_WIDTH, PAPER_WIDTH) : room;
    return Plotly.react(plot, data, layout, CONFIG);
  };

  const pause = () => new Promise((go) => setTimeout(go, 0));

  const drawAll = async () => {
    const plots = [...document.querySelectorAll(".plot")];
    if (plots.length) await load("plotly");
    for (const plot of plots) {
      await draw(plot);
      await pause();
    }
    let width = root.clientWidth;
    addEventListener("resize", () => {
      if (root.clientWidth === width) return;
      width = root.clientWidth;
      plots.forEach((plot) => draw(plot));
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((plot) => draw(plot)));
    addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, true)));
    addEventListener("afterprint", () => plots.forEach((plot) => draw(plot)));
    plots.forEach((plot) => plot.closest("details")?.addEventListener("toggle", () => draw(plot)));
    root.dataset.drawn = String(plots.length);
  };

  const number = (text) => parseFloat(text.replace("−", "-").replace(/×10/, "e").replace(/[^\d.eE+-].*$/, ""));

  const sort = (table, column, head) => {
    const body = table.tBodies[0];
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    const text = (row) => row.cells[column]?.innerText.trim() ?? "";
    const rows = [...body.rows].sort((first, second) => {
      const [one, other] = [number(text(first)), number(text(second))];
      if (Number.isNaN(one) && Number.isNaN(other)) return text(first).localeCompare(text(second));
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) ? 1 : -1;
      return one - other;
    });
    body.append(...(ascending ? rows : rows.reverse()));
    table.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  };

  const equip = (table) => {
    const whole = [...table.tBodies[0].rows].every((row) => row.cells[0]?.innerText.trim());
    if (whole && table.tBodies[0].rows.length > 1) {
      table.querySelectorAll("thead th").forEach((head, column) => {
        head.classList.add("sorts");
        head.title = "sort";
        head.addEventListener("click", () => sort(table, column, head));
      });
    }
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = "copy";
    button.addEventListener("click", async () => {
      const lines = [...table.rows].map((row) => [...row.cells].map((cell) => cell.innerText.replace(/\s+/g, " ").trim()).join("\t"));
      await navigator.clipboard.writeText(lines.join("\n"));
      button.textContent = "copied";
    });
    table.parentElement.append(button);
  };

  document.querySelectorAll(".scroll > table").forEach(equip);
  window.rung = {unpack, load, themed};
  window.rung.drawn = drawAll();
})();
