"use strict";
// Draws what /events sends. Text is set as text, never as HTML: names of people and activities come from outside.
const token = new URLSearchParams(location.search).get("token") || "";
const query = (path, more = {}) => path + "?" + new URLSearchParams({ token, ...more });
const byId = (id) => document.getElementById(id);
const HISTORY_S = 60, LEAST_S = 10, ROWS = 6, NEWEST_ROWS = 2, SAID_MS = 5000, CALM_MS = 1000, SILENT_MS = 3000;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let hello = null, paused = false, ended = false, number = null, skipped = 0, drawn = 0, waiting = false;
let saidAt = 0, connected = true;
const people = new Map(), said = new Map();

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

const percent = (value) => Math.round(100 * value) + " %";

function state(is, text) {
  byId("state").dataset.is = is;
  setText(byId("state"), text);
}

function showState() {
  if (ended) return state("ended", "The run has ended.");
  if (!connected) return state("lost", "Connection lost; trying again.");
  const more = skipped ? `; ${skipped} updates were skipped, as this connection is slow` : "";
  state(paused ? "paused" : "live", (paused ? "Paused" : "Connected") + more);
}

// People

function cardOf(name) {
  let person = people.get(name);
  if (person) return person;
  byId("empty")?.remove();
  const card = byId("person").content.firstElementChild.cloneNode(true);
  person = { name, card, traces: new Map(), poses: new Map(), predictions: [], activities: [], lost: {}, left: false,
    newest: -Infinity, arrived: 0, glow: {}, rows: new Map() };
  const title = card.querySelector("h2");
  title.textContent = name === null ? "Stream" : name;
  title.id = "person-" + people.size + "-" + Date.now();
  card.setAttribute("aria-labelledby", title.id);
  for (const sensor of hello.sensors) addSensor(person, sensor);
  const why = card.querySelector(".why");
  const reason = card.querySelector(".reason");
  reason.id = title.id + "-reason";
  why.setAttribute("aria-controls", reason.id);
  why.addEventListener("click", () => toggleWhy(person));
  people.set(name, person);
  byId("people").append(card);
  byId("people").classList.toggle("single", people.size === 1);
  return person;
}

function addSensor(person, sensor) {
  const traces = person.card.querySelector(".traces");
  const part = element("section", "sensor");
  part.hidden = true;
  const title = element("h3", "", sensor.name + " ");
  title.append(element("span", "unit", `last ${hello.trace_s} s`));
  part.append(title);
  const canvases = sensor.plots.map((plot) => {
    const key = element("p", "key", `${plot.name}, ${plot.unit}: `);
    plot.channels.forEach((channel, index) => {
      const entry = element("span");
      entry.append(element("i", "c" + (index % 3)), channel);
      key.append(entry);
    });
    const canvas = element("canvas", "trace");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${sensor.name}, ${plot.name}, over the last ${hello.trace_s} seconds`);
    part.append(key, canvas);
    return canvas;
  });
  if (sensor.hidden_groups) part.append(element("p", "unit", `${sensor.hidden_groups} more groups are not drawn`));
  traces.append(part);
  person.traces.set(sensor.name, { sensor, part, canvases, t: [], v: [] });
  if (sensor.joints.length) {
    const canvas = element("canvas", "pose");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Skeleton of ${sensor.name}`);
    person.card.querySelector(".poses").append(canvas);
    person.poses.set(sensor.name, { sensor, canvas, pose: null, size: 0 });
  }
}

function add(person, entry) {
  for (const [name, part] of Object.entries(entry.sensors)) {
    const trace = person.traces.get(name);
    if (part.t.length) {
      const newest = part.t[part.t.length - 1];
      if (trace.t.length && part.t[0] < trace.t[trace.t.length - 1] - 1) { trace.t = []; trace.v = []; }
      trace.t.push(...part.t);
      trace.v.push(...part.v);
      const first = trace.t.findIndex((time) => time >= newest - hello.trace_s);
      trace.t.splice(0, first);
      trace.v.splice(0, first);
      trace.newest = newest;
    }
    if (part.pose) person.poses.get(name).pose = part.pose;
    person.arrived = performance.now();
  }
  for (const one of entry.predictions) {
    const last = person.predictions[person.predictions.length - 1];
    if (last && one.end_s < last.end_s - 1) person.predictions = [];
    person.predictions.push(one);
    person.newest = one.end_s;
    person.arrived = performance.now();
  }
  const oldest = person.newest - HISTORY_S;
  while (person.predictions.length && person.predictions[0].end_s < oldest) person.predictions.shift();
  person.activities.push(...entry.activities);
  person.activities.splice(0, person.activities.length - 20);
  person.lost = entry.lost;
  person.left = entry.left;
}

// Drawing

function surface(canvas) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "card", "ink", "soft", "line", "accent", "glow", "one", "two", "three"])
    colours[name] = style.getPropertyValue("--" + name).trim();
}

function drawTrace(trace, plot, canvas, offset) {
  const { context, width, height } = surface(canvas);
  let low = Infinity, high = -Infinity;
  for (const row of trace.v)
    for (let channel = 0; channel < plot.channels.length; channel++) {
      const value = row[offset + channel];
      if (value !== null && value !== undefined) { low = Math.min(low, value); high = Math.max(high, value); }
    }
  if (low > high) return;
  if (high - low < 1e-6) { low -= 0.5; high += 0.5; }
  const left = 46, x = (time) => left + (width - left - 4) * (1 - (trace.newest - time) / hello.trace_s);
  const y = (value) => height - 8 - (height - 16) * (value - low) / (high - low);
  context.fillStyle = colours.soft;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  const digits = high - low < 10 ? 2 : 0;
  context.fillText(high.toFixed(digits), left - 6, 14);
  context.fillText(low.toFixed(digits), left - 6, height - 6);
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.strokeRect(left, 3, width - left - 4, height - 6);
  plot.channels.forEach((_, channel) => {
    context.beginPath();
    context.strokeStyle = colours[["one", "two", "three"][channel % 3]];
    context.setLineDash([[], [6, 3], [2, 2]][channel % 3]);
    context.lineWidth = 1.6;
    let before = null;
    trace.t.forEach((time, index) => {
      const value = trace.v[index][offset + channel];
      if (value === null || value === undefined) { before = null; return; }
      if (before === null || time - before > 0.5) context.moveTo(x(time), y(value));
      else context.lineTo(x(time), y(value));
      before = time;
    });
    context.stroke();
  });
  context.setLineDash([]);
}

function drawPose(entry, glow) {
  if (!entry.pose) return;
  const { context, width, height } = surface(entry.canvas);
  const known = entry.pose.filter((joint) => joint[0] !== null && joint[1] !== null);
  if (!known.length) return;
  const xs = known.map((joint) => joint[0]), ys = known.map((joint) => joint[1]);
  const middleX = (Math.min(...xs) + Math.max(...xs)) / 2, middleY = (Math.min(...ys) + Math.max(...ys)) / 2;
  const extent = Math.max(Math.max(...ys) - Math.min(...ys), (Math.max(...xs) - Math.min(...xs)) * height / width, 1e-6);
  entry.size = Math.max(extent, 0.98 * entry.size); // does not shrink at once
  const scale = (height - 32) / entry.size;
  const at = (joint) => [width / 2 + (joint[0] - middleX) * scale, height / 2 - (joint[1] - middleY) * scale];
  const has = (index) => entry.pose[index][0] !== null && entry.pose[index][1] !== null;
  context.lineCap = "round";
  context.lineWidth = 3;
  context.strokeStyle = colours.accent;
  context.beginPath();
  for (const [joint, parent] of entry.sensor.bones)
    if (has(joint) && has(parent)) {
      context.moveTo(...at(entry.pose[joint]));
      context.lineTo(...at(entry.pose[parent]));
    }
  context.stroke();
  const most = glow ? Math.max(...glow, 1e-9) : 1;
  entry.pose.forEach((joint, index) => {
    if (!has(index)) return;
    const [x, y] = at(joint), weight = glow ? Math.max(glow[index], 0) / most : 0;
    if (weight > 0.05) {
      context.globalAlpha = 0.15 + 0.45 * weight;
      context.fillStyle = colours.glow;
      context.beginPath();
      context.arc(x, y, 4 + 14 * Math.sqrt(weight), 0, 2 * Math.PI);
      context.fill();
      context.globalAlpha = 1;
    }
    context.fillStyle = colours.ink;
    context.beginPath();
    context.arc(x, y, 3, 0, 2 * Math.PI);
    context.fill();
  });
}

function span(person) {
  const first = person.predictions[0];
  return Math.min(Math.max(person.newest - first.start_s, LEAST_S), HISTORY_S);
}

function drawProbabilities(person) {
  const highest = new Map();
  for (const one of person.predictions) for (const [index, value] of one.p) highest.set(index, Math.max(value, highest.get(index) || 0));
  const latest = new Map(person.predictions[person.predictions.length - 1].p);
  // The most probable ones now, then those that were; a row stays where it is as long as it is among them.
  const order = (found) => [...found].sort((a, b) => b[1] - a[1]).map(([index]) => index);
  const wanted = [...new Set([...order(latest).slice(0, NEWEST_ROWS), ...order(highest)])].slice(0, ROWS);
  const list = person.card.querySelector(".probabilities");
  for (const [index, row] of person.rows) if (!wanted.includes(index)) { row.item.remove(); person.rows.delete(index); }
  for (const index of wanted) {
    let row = person.rows.get(index);
    if (!row) {
      const item = element("li"), canvas = element("canvas"), value = element("span", "value");
      canvas.setAttribute("aria-hidden", "true");
      const name = element("span", "name", hello.labels[index]);
      name.title = hello.labels[index];
      item.append(name, canvas, value);
      list.append(item);
      row = { item, canvas, value };
      person.rows.set(index, row);
    }
    setText(row.value, percent(latest.get(index) || 0));
    const { context, width, height } = surface(row.canvas), seconds = span(person);
    const x = (time) => width * (1 - (person.newest - time) / seconds), base = height - 2;
    context.strokeStyle = colours.line;
    context.beginPath();
    context.moveTo(0, base);
    context.lineTo(width, base);
    context.stroke();
    context.beginPath();
    let before = null;
    for (const one of person.predictions) {
      const found = one.p.find(([label]) => label === index), y = base - (height - 5) * (found ? found[1] : 0);
      const at = x(one.end_s);
      if (before === null) { context.moveTo(at, base); context.lineTo(at, y); } else context.lineTo(at, y);
      before = at;
    }
    if (before !== null) context.lineTo(before, base);
    context.fillStyle = colours.accent;
    context.globalAlpha = 0.3;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.5;
    context.stroke();
  }
}

function segments(person) {
  const found = [];
  person.predictions.forEach((one, index) => {
    const last = found[found.length - 1], before = person.predictions[index - 1];
    // A label holds from half-way between the middles of its window and the one before.
    const start = before && one.start_s <= before.end_s ? (before.start_s + before.end_s + one.start_s + one.end_s) / 4 : one.start_s;
    if (last && last.label === one.label && start <= last.end + 1e-6) last.end = one.end_s;
    else {
      if (last) last.end = Math.min(last.end, start);
      found.push({ label: one.label, start, end: one.end_s });
    }
  });
  return found;
}

function hue(label) {
  let sum = 7;
  for (const char of label) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

function drawBand(person) {
  const canvas = person.card.querySelector(".band"), { context, width, height } = surface(canvas), seconds = span(person);
  const x = (time) => Math.max(width * (1 - (person.newest - time) / seconds), 0);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, found = segments(person);
  context.font = "13px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const one of found) {
    const left = x(one.start), right = x(one.end);
    if (right - left < 1) continue;
    context.fillStyle = one.label === "unknown" ? colours.line : `hsl(${hue(one.label)} ${dark ? "45% 32%" : "60% 82%"})`;
    context.fillRect(left, 2, right - left - 1, height - 4);
    if (context.measureText(one.label).width < right - left - 10) {
      context.fillStyle = colours.ink;
      context.fillText(one.label, left + 5, height / 2);
    }
  }
  canvas.setAttribute("aria-label", `Recognised labels over the last ${Math.round(seconds)} seconds`);
  const newest = found.slice(-5).map((one) => `${one.label} ${(one.end - one.start).toFixed(1)} s`);
  setText(person.card.querySelector(".newest"), (found.length > 5 ? "… → " : "") + newest.join(" → "));
}

function drawPerson(person) {
  const { card } = person, last = person.predictions[person.predictions.length - 1];
  card.classList.toggle("left", person.left);
  if (last) {
    setText(card.querySelector(".label"), last.label);
    const silent = performance.now() - person.arrived > SILENT_MS && !ended;
    setText(card.querySelector(".score"), percent(last.score) + (person.left ? ", has left" : silent ? ", silent" : ""));
    const times = person.predictions.slice(-20).map((one) => one.latency_ms).filter((one) => one !== null).sort((a, b) => a - b);
    if (times.length) {
      const middle = times[times.length >> 1];
      setText(card.querySelector(".latency"), `${middle.toFixed(middle < 10 ? 1 : 0)} ms, at most ${times[times.length - 1].toFixed(0)} ms`);
    }
    for (const node of card.querySelectorAll(".span")) setText(node, `last ${Math.round(span(person))} s`);
    drawProbabilities(person);
    drawBand(person);
  }
  const lost = [];
  for (const [name, one] of Object.entries(person.lost)) {
    const parts = ["late", "rejected", "duplicated", "invalid"].filter((cause) => one[cause]).map((cause) => `${one[cause]} ${cause}`);
    if (parts.length) lost.push(`${name} ${parts.join(", ")} of ${one.received}`);
  }
  setText(card.querySelector(".lost"), lost.join("; ") || "none");
  card.querySelector(".lost").classList.toggle("bad", lost.length > 0);
  for (const [name, entry] of person.poses) {
    if (entry.pose) card.querySelector(".poses").hidden = false;
    drawPose(entry, person.glow[name]);
  }
  for (const trace of person.traces.values()) {
    if (!trace.t.length) continue;
    trace.part.hidden = false;
    let offset = 0;
    trace.sensor.plots.forEach((plot, index) => {
      drawTrace(trace, plot, trace.canvases[index], offset);
      offset += plot.channels.length;
    });
  }
  drawActivities(person);
}

function drawActivities(person) {
  const table = person.card.querySelector(".activities"), body = table.querySelector("tbody");
  table.hidden = !person.activities.length;
  const newest = person.activities.slice(-5).reverse();
  const key = JSON.stringify(newest);
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...newest.map((one) => {
    const row = element("tr");
    row.append(element("td", "", one.label), element("td", "", one.start_s.toFixed(1) + " s"),
      element("td", "", one.end_s.toFixed(1) + " s"), element("td", "", percent(one.score)));
    return row;
  }));
}

function draw() {
  waiting = false;
  drawn = performance.now();
  if (paused) return;
  readColours();
  for (const person of people.values()) drawPerson(person);
  announce();
}

function schedule() {
  if (waiting || paused) return;
  waiting = true;
  const wait = calm.matches ? Math.max(CALM_MS - (performance.now() - drawn), 0) : 0;
  setTimeout(() => requestAnimationFrame(draw), wait);
}

function announce() {
  const now = performance.now();
  if (now - saidAt < SAID_MS) return;
  const changed = [];
  for (const person of people.values()) {
    const last = person.predictions[person.predictions.length - 1];
    if (last && said.get(person.name) !== last.label) {
      said.set(person.name, last.label);
      changed.push((person.name === null ? "" : person.name + ": ") + last.label);
    }
  }
  if (!changed.length) return;
  saidAt = now;
  byId("said").textContent = changed.join("; ");
}

// Why

async function toggleWhy(person) {
  const button = person.card.querySelector(".why"), reason = person.card.querySelector(".reason");
  if (button.getAttribute("aria-disabled") === "true") return;
  if (!reason.hidden) {
    reason.hidden = true;
    person.glow = {};
    button.setAttribute("aria-expanded", "false");
    setText(button, "Why?");
    return schedule();
  }
  button.setAttribute("aria-disabled", "true");
  reason.hidden = false;
  reason.replaceChildren(element("p", "", "Computing ..."));
  try {
    const reply = await fetch(query("why", person.name === null ? {} : { person: person.name }));
    if (!reply.ok) throw new Error(await reply.text());
    showWhy(person, reason, await reply.json());
  } catch (problem) {
    reason.replaceChildren(element("p", "", problem instanceof TypeError ? "No answer: the run has ended, or cannot be reached." : problem.message));
  }
  button.setAttribute("aria-disabled", "false");
  button.setAttribute("aria-expanded", "true");
  setText(button, "Close the explanation");
  reason.focus({ preventScroll: false });
  schedule();
}

function showWhy(person, reason, found) {
  person.glow = found.joints;
  const parts = [element("p", "", `Why ${found.label}, ${percent(found.probability)}, from ${found.start_s.toFixed(1)} to ${found.end_s.toFixed(1)} s?`)];
  const strongest = found.steps.reduce((a, b) => (b.importance > a.importance ? b : a));
  parts.push(element("p", "", `It mattered most what happened from ${strongest.start_s.toFixed(1)} to ${strongest.end_s.toFixed(1)} s. The darker, the more important:`));
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Importance of the steps of the window, in order of time");
  parts.push(canvas);
  const list = element("ul", "groups");
  for (const one of found.groups) {
    const item = element("li"), bar = element("span", "bar"), filled = element("span");
    filled.style.width = 100 * one.share + "%";
    bar.append(filled);
    item.append(element("span", "", `${one.sensor}: ${one.name}`), bar, element("span", "value", percent(one.share)));
    list.append(item);
  }
  parts.push(list);
  const sensors = Object.entries(found.sensors).filter(([, lost]) => typeof lost === "number");
  if (sensors.length)
    parts.push(element("p", "unit", "Log odds lost without the sensor: " + sensors.map(([name, lost]) => `${name} ${lost.toFixed(1)}`).join(", ") + "."));
  if (found.missing.length) parts.push(element("p", "unit", "Missing: " + found.missing.join(", ")));
  reason.replaceChildren(...parts);
  readColours();
  const { context, width, height } = surface(canvas), most = Math.max(strongest.importance, 1e-9);
  found.steps.forEach((step, index) => {
    const cell = width / found.steps.length;
    context.globalAlpha = 0.06 + 0.94 * Math.max(step.importance, 0) / most;
    context.fillStyle = colours.glow;
    context.fillRect(index * cell, 2, cell - 1, height - 4);
  });
  context.globalAlpha = 1;
}

// Events

function receive(event) {
  const content = JSON.parse(event.data), next = Number(event.lastEventId);
  if (number !== null && next > number + 1) skipped += next - number - 1;
  number = next;
  for (const entry of content.people) add(cardOf(entry.name), entry);
  for (const [name, person] of people) if (!content.names.includes(name)) { person.card.remove(); people.delete(name); said.delete(name); }
  byId("people").classList.toggle("single", people.size === 1);
  setText(byId("hidden"), content.hidden ? `${content.hidden} more people are not shown.` : "");
  showState();
  schedule();
}

const source = new EventSource(query("events"));
source.addEventListener("hello", (event) => {
  hello = JSON.parse(event.data);
  for (const person of people.values()) person.card.remove();
  people.clear();
  number = null;
});
source.addEventListener("update", receive);
source.addEventListener("open", () => { connected = true; showState(); });
source.addEventListener("error", () => {
  if (ended) return;
  connected = false;
  if (source.readyState === EventSource.CLOSED) state("lost", "No connection: too many pages are open, or the run has ended.");
  else showState();
});
source.addEventListener("end", () => {
  ended = true;
  source.close();
  showState();
  schedule();
});
byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  showState();
  schedule();
});
setInterval(schedule, 1000); // silence shows, too
addEventListener("resize", schedule);
