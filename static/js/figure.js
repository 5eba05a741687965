// <lab-figure figure='{"data": [...], "layout": {...}, "narrow": {...}}'>: a Plotly figure.
// "$ink-2" and "$run-1/0.16" name colours of the style sheet; "narrow" replaces keys of the layout
// on a narrow screen. A new value of the attribute is drawn in place.

const NARROW = matchMedia("(width < 520px)");
const COLOUR = /^\$([a-z0-9-]+)(?:\/([0-9.]+))?$/;
const LEAST_LABELS = 132;
const MOST_LABELS = 0.36;
const PEN = document.createElement("canvas").getContext("2d");
const CONFIG = { displayModeBar: false, doubleClick: false, showTips: false };

class Palette {
  #probe = document.createElement("span");
  #known = new Map();

  constructor() {
    this.#probe.hidden = true;
    document.body.append(this.#probe);
  }

  forget() {
    this.#known.clear();
  }

  colour(token) {
    if (!this.#known.has(token)) {
      this.#probe.style.color = `var(--${token})`;
      this.#known.set(token, getComputedStyle(this.#probe).color);
    }
    return this.#known.get(token);
  }

  resolve(value) {
    if (typeof value === "string") return this.#text(value);
    if (Array.isArray(value)) return value.map((one) => this.resolve(one));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, this.resolve(one)]),
    );
  }

  #text(value) {
    const found = COLOUR.exec(value);
    if (!found) return value;
    const [red, green, blue] = this.colour(found[1]).match(/[\d.]+/g);
    return `rgba(${red}, ${green}, ${blue}, ${found[2] ?? 1})`;
  }
}

const palette = new Palette();

// Objects are merged, everything else is replaced.
function over(base, patch) {
  const merged = { ...base };
  for (const [key, value] of Object.entries(patch ?? {})) {
    const both = isObject(merged[key]) && isObject(value);
    merged[key] = both ? over(merged[key], value) : value;
  }
  return merged;
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

// What hovering shows of each value of a line, or of each cell: a page with these texts would be twice
// as large. A trace names in its `text` how they are written.
const each = (write) => ({ y }) => y.map((value) => (value === null ? "" : write(value)));
const HOVER = {
  $time: each(time),
  $rate: each((value) => `${figures(value, 3)}\u00a0/s`),
  $share: each((value) => `${figures(100 * value, value < 0.995 ? 2 : 3)}\u00a0%`),
  $percentile: ({ x, y }) => x.map((place, at) => `${percentile(place)}: ${time(y[at])}`),
  $shift: ({ x, y }) => x.map((place, at) => `${percentile(place)}: ${signed(y[at])}`),
  $own: ({ z }) => z,
  $requests: ({ y, z }) => z.map((row, index) => cells(row, Math.sqrt(y[index] * y[index + 1]))),
};

function figures(value, count) {
  const text = value.toPrecision(count);
  if (value === 0) return "0";
  return text.includes("e") ? Number(text).toLocaleString("en") : text;
}

function percentile(place) {
  return `p${Number((100 * (1 - 10 ** -place)).toPrecision(4))}`;
}

function signed(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const rounded = Number(size >= 1000 ? size.toFixed() : size.toPrecision(3));
  return `${value > 0 ? "+" : "−"}${rounded.toLocaleString("en", { maximumSignificantDigits: 21 })}`;
}

function time(seconds) {
  if (seconds >= 1) return `${Number(seconds.toPrecision(4)).toLocaleString("en")}\u00a0s`;
  const [scaled, unit] = seconds >= 1e-4 ? [1e3 * seconds, "ms"] : [1e6 * seconds, "µs"];
  return `${Number(scaled.toPrecision(3))}\u00a0${unit}`;
}

function cells(row, seconds) {
  const said = time(Number(seconds.toPrecision(2)));
  return row.map((many) =>
    many === null ? "" : `${said}: ${many.toLocaleString("en")} request${many === 1 ? "" : "s"}`,
  );
}

// Rows of cells that say what is `full` are coloured by their part of it; hovering shows their own values.
function worded({ full, ...trace }) {
  const write = typeof trace.text === "string" && HOVER[trace.text];
  const text = write ? { text: write(trace) } : {};
  const parts = (row, at) => row.map((value) => (value === null ? null : value / full[at]));
  return { ...trace, ...text, ...(full ? { z: trace.z.map(parts) } : {}) };
}

// What the style sheet knows, and room for tick labels that are wider than the margin.
function base(layout) {
  const axes = Object.keys(layout).filter((key) => /^yaxis\d*$/.test(key));
  return {
    font: { family: getComputedStyle(document.body).fontFamily },
    hoverlabel: { bgcolor: "$ink", bordercolor: "$ink", font: { color: "$paper", size: 12 } },
    ...Object.fromEntries(axes.map((key) => [key, { automargin: "left", ticklabelstandoff: 5 }])),
  };
}

// Labels at the right end of lines get the room that the layout asks for, up to a part of the width
// of the figure. Only then names are cut; a clock and a doubt behind them are not.
function fitted(layout, width) {
  const most = Math.max(LEAST_LABELS, Math.floor(MOST_LABELS * width));
  if (layout.margin.r <= most) return layout;
  const annotations = layout.annotations.map((label) => {
    if (label.xref !== "paper" || label.x !== 1 || label.xanchor !== "left") return label;
    const { size = layout.font.size, weight } = label.font;
    PEN.font = `${weight} ${size}px ${layout.font.family}`;
    return { ...label, text: cut(label.text, most - label.xshift) };
  });
  return { ...layout, annotations, margin: { ...layout.margin, r: most } };
}

// Names are escaped: an entity is one letter.
function cut(text, room) {
  const [, name, kept] = /^(.*?)((?: response| service| first byte)?(?: time)?(?:, invalid)?)$/.exec(text);
  const letters = name.match(/&\w+;|./gu) ?? [];
  const fits = (end) => PEN.measureText(letters.join("").replace(/&\w+;/g, "&") + end).width <= room;
  if (fits(kept)) return text;
  while (letters.length && !fits(`…${kept}`)) letters.pop();
  return `${letters.join("").trimEnd()}…${kept}`;
}

class LabFigure extends HTMLElement {
  static observedAttributes = ["figure"];
  #plot = null;
  #width = 0;
  #sizes = new ResizeObserver(() => this.#resized());

  connectedCallback() {
    this.#sizes.observe(this);
  }

  disconnectedCallback() {
    this.#sizes.disconnect();
    this.#width = 0;
  }

  attributeChangedCallback() {
    if (this.#plot) this.draw();
  }

  #resized() {
    if (this.clientWidth && this.clientWidth !== this.#width) this.draw();
  }

  // Draws for the room and the colours of this moment.
  redraw() {
    palette.forget();
    if (this.clientWidth) this.draw();
  }

  draw() {
    const figure = JSON.parse(this.getAttribute("figure"));
    this.#width = this.clientWidth;
    const narrow = NARROW.matches ? figure.narrow : {};
    const given = { ...figure.layout, ...narrow };
    const layout = fitted(over(base(given), given), this.#width);
    const size = { width: this.#width, height: this.clientHeight };
    this.#prepare();
    const resolved = palette.resolve({ data: figure.data.map(worded), layout });
    Plotly.react(this.#plot, resolved.data, { ...resolved.layout, ...size }, CONFIG);
  }

  #prepare() {
    if (this.#plot?.isConnected) return;
    this.#plot = document.createElement("div");
    this.#plot.className = "no-inline-styles";
    this.replaceChildren(this.#plot);
  }

  async download(name) {
    save((await this.#canvas()).toDataURL("image/png"), `${name}.png`);
  }

  // Puts the picture into the clipboard; a page that has none keeps it as a file.
  async copy() {
    const canvas = await this.#canvas();
    if (!navigator.clipboard?.write) {
      save(canvas.toDataURL("image/png"), `${this.id}.png`);
      return;
    }
    const picture = new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
  }

  async #canvas() {
    const size = { width: this.clientWidth, height: this.clientHeight };
    const drawn = { data: this.#plot.data, layout: { ...this.#plot.layout } };
    drawn.layout.paper_bgcolor = palette.resolve("$paper");
    const address = await Plotly.toImage(drawn, { format: "svg", ...size });
    return raster(address, size);
  }
}

// Plotly's own PNG goes through a blob: image, which the Content-Security-Policy blocks.
async function raster(address, { width, height }) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

function redrawAll() {
  palette.forget();
  for (const figure of document.querySelectorAll("lab-figure")) figure.draw();
}

customElements.define("lab-figure", LabFigure);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
new MutationObserver(redrawAll).observe(document.documentElement, { attributes: true });

document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-png]")?.dataset.png;
  if (name) document.getElementById(name)?.download?.(name);
});
