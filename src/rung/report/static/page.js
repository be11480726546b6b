// Unpacks the libraries that the page holds, draws its figures, follows light, dark and paper, and makes tables sort and copy.
"use strict";
(() => {
  const root = document.documentElement;
  // The colours of a figure on paper, and what stands for each on a screen.
  const COLOURS = {"#1f2733": "--ink", "#66707f": "--muted", "#e8ebf0": "--grid", "#c6ccd6": "--axis", "#ffffff": "--paper"};
  const ANY = new RegExp(Object.keys(COLOURS).join("|"), "g");
  // Widths of figures on paper, by what they stand in: the screen's layout says nothing of it.
  const PAPER_WIDTH = {".grid.three": 200, ".grid.two": 316};
  const WHOLE_PAPER = 680;
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

  const themed = (text) => {
    const style = getComputedStyle(root);
    return text.replace(ANY, (colour) => style.getPropertyValue(COLOURS[colour]).trim());
  };

  // Units of chemists in place of those of physicists, where the page is about molecules: kcal/mol, its choice kept while the page is open.
  const KCAL = 23.060548;
  const UNIT = /(?<![/√kMG])(m?)eV(\/atom|\/Å)?(?![\w/³²√])/;  // words may touch it, where a line ends
  const NUMBER = /[−-]?\d+(?:\.\d+)?(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?(?![\d.]*\s?%)/g;
  const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  let chemical = false;

  const factorOf = (text) => {
    const unit = UNIT.exec(text);
    return unit ? KCAL * (unit[1] ? 1e-3 : 1) : 0;
  };

  const renamed = (text) => text.replace(UNIT, (_, milli, per) => `kcal/mol${per === "/atom" ? " per atom" : per ?? ""}`);

  const valueOf = (text) => {
    const [mantissa, power] = text.replace("−", "-").split("×10");
    const exponent = [...(power ?? "")].map((letter) => letter === "⁻" ? "-" : RAISED.indexOf(letter)).join("");
    return Number(mantissa) * 10 ** Number(exponent || 0);
  };

  const spelt = (value) => {
    const size = Math.abs(value);
    if (size && (size < 1e-4 || size >= 1e6)) {
      const [mantissa, exponent] = value.toExponential(2).replace("-", "−").split("e");
      return `${mantissa}×10${[...exponent].filter((letter) => letter !== "+").map((letter) => RAISED[letter] ?? "⁻").join("")}`;
    }
    const places = size ? Math.max(0, 2 - Math.floor(Math.log10(size))) : 0;
    return value.toFixed(places).replace("-", "−");
  };

  const kept = new Map();  // what stood in each place before units were changed

  const change = (place, rewrite) => {
    kept.set(place, place.innerHTML);
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) walker.currentNode.data = rewrite(walker.currentNode.data);
  };

  const scaled = (factor) => (text) => text.replace(NUMBER, (number) => spelt(factor * valueOf(number)));

  const changeTable = (table) => {
    const heads = [...table.tHead?.rows[0]?.cells ?? []];
    const factors = heads.map((head) => factorOf(head.textContent));
    heads.filter((_, column) => factors[column]).forEach((head) => change(head, renamed));
    [...table.tBodies[0].rows].forEach((row) => {
      const [name, ...cells] = row.cells;
      const own = factors.some(Boolean) ? 0 : factorOf(name?.textContent ?? "");
      if (own) change(name, renamed);
      [...row.cells].forEach((cell, column) => factors[column] && change(cell, scaled(factors[column])));
      if (own) cells.forEach((cell) => change(cell, scaled(own)));
    });
  };

  const changeTile = (tile) => {
    const unit = tile.querySelector(".unit");
    const factor = factorOf(unit?.textContent ?? "");
    if (!factor) return;
    tile.querySelectorAll(".value, .was").forEach((place) => change(place, (text) => renamed(scaled(factor)(text))));
  };

  const changeFigure = ({data, layout}) => {
    Object.keys(layout).map((key) => /^([xy])axis(\d*)$/.exec(key)).filter(Boolean).forEach(([key, letter, index]) => {
      const axis = layout[key];
      const factor = factorOf(axis.title?.text ?? "");
      if (!factor) return;
      const times = (value) => typeof value === "number" ? factor * value : value;
      const placed = (value) => axis.type === "log" ? value + Math.log10(factor) : times(value);
      axis.title.text = renamed(axis.title.text);
      if (axis.range) axis.range = axis.range.map(placed);
      if (axis.tickvals) Object.assign(axis, {tickvals: undefined, ticktext: undefined, nticks: 6, dtick: axis.type === "log" ? "D2" : undefined});
      data.filter((trace) => (trace[`${letter}axis`] ?? letter) === letter + index).forEach((trace) => {
        if (Array.isArray(trace[letter])) trace[letter] = trace[letter].map(times);
        if (trace[`error_${letter}`]?.array) trace[`error_${letter}`].array = trace[`error_${letter}`].array.map(times);
        if (letter === "x" && Array.isArray(trace.width)) trace.width = trace.width.map(times);
      });
      (layout.shapes ?? []).filter((one) => one[`${letter}ref`] === letter + index).forEach((one) =>
        [`${letter}0`, `${letter}1`].forEach((end) => { one[end] = times(one[end]); }));
      (layout.annotations ?? []).filter((one) => one[`${letter}ref`] === letter + index).forEach((one) => { one[letter] = placed(one[letter]); });
    });
  };

  const setUnits = (chosen) => {
    if (chosen === chemical) return;
    chemical = chosen;
    kept.forEach((content, place) => { place.innerHTML = content; });
    kept.clear();
    if (chemical) {
      document.querySelectorAll("main table").forEach(changeTable);
      document.querySelectorAll(".tile").forEach(changeTile);
    }
    document.querySelectorAll(".units button").forEach((button) =>
      button.setAttribute("aria-pressed", String((button.dataset.units === "kcal") === chemical)));
    document.querySelectorAll(".plot").forEach((plot) => draw(plot));
  };

  document.querySelectorAll(".units button").forEach((button) =>
    button.addEventListener("click", () => setUnits(button.dataset.units === "kcal")));

  // On a narrow place a long title takes two lines, and every second tick of a full axis goes.
  const fit = (layout) => {
    const axis = layout.xaxis ?? {};
    const title = axis.title?.text ?? "";
    const middle = title.indexOf(" ", title.length / 2 - 4);
    if (title.length * 8 > layout.width - 90 && middle > 0) axis.title.text = `${title.slice(0, middle)}<br>${title.slice(middle + 1)}`;
    if (layout.width > 450 || !axis.tickvals || axis.tickvals.length < 5) return;
    const even = (_, place) => place % 2 === 0;
    Object.assign(axis, {tickvals: axis.tickvals.filter(even), ticktext: axis.ticktext?.filter(even)});
  };

  const draw = (plot, paper = false) => {
    const text = plot.nextElementSibling.textContent;
    const {data, layout} = JSON.parse(paper ? text : themed(text));
    if (chemical) changeFigure({data, layout});
    const place = plot.closest(".grid");
    const grid = place?.children.length > 1 && Object.keys(PAPER_WIDTH).find((kind) => place.matches(kind));
    layout.width = paper ? PAPER_WIDTH[grid] ?? WHOLE_PAPER : plot.clientWidth;
    fit(layout);
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
    let printing = false;
    const redraw = (paper) => {
      window.rung.drawn = Promise.all(plots.map((plot) => draw(plot, paper)));
    };
    addEventListener("resize", () => {
      if (printing || root.clientWidth === width) return;
      width = root.clientWidth;
      redraw(false);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(false));
    const print = (on) => () => {
      printing = on;
      redraw(on);
    };
    addEventListener("beforeprint", print(true));
    addEventListener("afterprint", print(false));
    plots.forEach((plot) => plot.closest("details")?.addEventListener("toggle", () => draw(plot)));
    equipViewers();
    root.dataset.drawn = String(plots.length);
  };

  const xyz = (one) => {
    const symbols = one.symbols.split(" ");
    const lines = symbols.map((symbol, k) => [symbol, ...one.positions.slice(3 * k, 3 * k + 3)].join(" "));
    return `${symbols.length}\n\n${lines.join("\n")}\n`;
  };

  const edges = (cell) => {
    const [a, b, c] = [0, 3, 6].map((k) => cell.slice(k, k + 3));
    const sum = (...vectors) => vectors.reduce((one, other) => one.map((part, k) => part + other[k]), [0, 0, 0]);
    const from = {a: [[], [b], [c], [b, c]], b: [[], [a], [c], [a, c]], c: [[], [a], [b], [a, b]]};
    return Object.entries({a, b, c}).flatMap(([name, vector]) =>
      from[name].map((corner) => [sum(...corner), sum(...corner, vector)]));
  };

  const vector = ([x, y, z]) => ({x, y, z});

  // One structure at a time; the library is unpacked when the first viewer comes into sight.
  class Viewer {
    constructor(place) {
      this.place = place;
      this.entries = JSON.parse(place.querySelector("script").textContent);
      this.choice = place.querySelector("select");
      this.choice.append(...this.entries.map((one, k) => new Option(one.name, k)));
      this.choice.addEventListener("change", () => this.show(Number(this.choice.value)));
      const step = (by) => () => this.show((this.current + by + this.entries.length) % this.entries.length);
      place.querySelector(".before").addEventListener("click", step(-1));
      place.querySelector(".after").addEventListener("click", step(1));
      this.show(0);
    }

    async stage() {
      Viewer.library ??= load("3dmol");
      await Viewer.library;
      const paper = () => getComputedStyle(root).getPropertyValue("--paper").trim();
      this.drawing ??= $3Dmol.createViewer(this.place.querySelector(".stage"), {backgroundColor: paper()});
      this.drawing.setBackgroundColor(paper());
      return this.drawing;
    }

    async show(index) {
      const one = this.entries[index];
      this.current = index;
      this.choice.value = String(index);
      this.place.querySelector(".words").innerHTML = one.words;
      this.place.dataset.shown = one.name;
      if (!this.seen) return;
      try {
        const drawing = await this.stage();
        drawing.removeAllModels();
        drawing.removeAllShapes();
        drawing.addModel(xyz(one), "xyz");
        drawing.setStyle({}, {stick: {radius: 0.12, colorscheme: "Jmol"}, sphere: {scale: 0.26, colorscheme: "Jmol"}});
        const colour = getComputedStyle(root).getPropertyValue("--muted").trim();
        if (one.cell.length) edges(one.cell).forEach(([start, end]) => drawing.addLine({start: vector(start), end: vector(end), color: colour}));
        drawing.zoomTo();
        drawing.render();
        this.place.dataset.drawn = one.name;
      } catch (error) {
        this.place.querySelector(".stage").textContent = `Structures need WebGL, which this browser does not offer (${error.message}).`;
      }
    }

    showRow(row) {
      const index = this.entries.findIndex((one) => one.row === row);
      if (index >= 0) this.show(index);
      return index >= 0;
    }
  }

  const equipViewers = () => {
    const seen = new IntersectionObserver((entries) => entries.filter((one) => one.isIntersecting).forEach((one) => {
      seen.unobserve(one.target);
      one.target.viewer.seen = true;
      one.target.viewer.show(one.target.viewer.current);
    }));
    document.querySelectorAll(".viewer").forEach((place) => {
      place.viewer = new Viewer(place);
      seen.observe(place);
      place.previousElementSibling?.querySelectorAll(".plot").forEach((plot) =>
        plot.on("plotly_click", ({points}) => place.viewer.showRow(points[0].customdata)));
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
      document.querySelectorAll(".viewer").forEach((place) => place.viewer.show(place.viewer.current)));
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
  window.rung = {drawn: drawAll()};
})();
