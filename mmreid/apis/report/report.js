
'use strict';
// All names are shown as text, never as markup. Plots are the only markup; they come from the plotting library.
const data = JSON.parse(document.getElementById('data').textContent);
const get = id => document.getElementById(id);
const main = get('main');
const PAGE = 10;
const METRICS = ['mAP', 'mINP', 'Rank-1', 'Rank-5', 'Rank-10', 'Rank-20'];
const COUNTS = ['num_query', 'num_valid_query'];
let set = data.sets[0] || null, model = set ? set.models[0] : null;
const updates = [];

function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return node;
}
const text = (tag, content, className = '') => make(tag, {textContent: content, className});
const percent = value => `${(100 * value).toFixed(0)}\u00a0%`;
const baseName = path => path.split(/[\\/]/).pop();
const several = (count, one, many = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : many}`;

function plot(svg) {
  const box = make('div');
  box.innerHTML = svg;
  return box;
}

// A part of the page that is drawn again when another test set or model is chosen; hidden where it has no content.
function section(id, title, draw, name = title) {
  const body = make('div'), node = make('section', {id}, text('h2', title), body);
  const link = make('a', {href: `#${id}`, textContent: name});
  const update = () => {
    const content = draw();
    const empty = !content || !content.length;
    node.hidden = link.hidden = empty;
    body.replaceChildren(...(empty ? [] : content));
  };
  main.append(node);
  get('links').append(link);
  updates.push(update);
  update();
}

function tile([number, pid, camid, score, match], kind = '') {
  const [address, path] = number === null ? [null, 'no image'] : data.images[number];
  const frame = make('div', {className: 'frame', title: path});
  const missing = () => text('span', baseName(path), 'missing');
  if (address) {
    const image = make('img', {loading: 'lazy', alt: `person ${pid}, camera ${camid}`});
    image.addEventListener('error', () => image.replaceWith(missing()));
    image.src = address;
    frame.append(image);
  } else frame.append(missing());
  const state = kind || (match === true ? 'good' : match === false ? 'bad' : '');
  const node = make('div', {className: `tile ${state}`}, frame);
  const label = make('div', {className: 'text', title: pid}, pid === '' && camid === '' ? baseName(path) : pid);
  if (match === true || match === false) label.prepend(text('span', match ? '✓' : '✗', 'mark'));
  const facts = make('div', {className: 'facts quiet'});
  if (camid) facts.append(`cam ${camid}`);
  if (typeof score === 'number') facts.append(camid ? ' · ' : '', text('span', score.toFixed(3)));
  node.append(label, facts);
  return node;
}
const row = (...tiles) => make('div', {className: 'row'}, ...tiles);

function results() {
  const rows = data.sets.flatMap(one => one.rows.map(entry => ({...entry, set: one.name})));
  if (!rows.length) return null;
  const found = new Set(rows.flatMap(entry => Object.keys(entry.values)));
  const columns = [...METRICS.filter(name => found.has(name)),
    ...[...found].filter(name => !METRICS.includes(name) && !COUNTS.includes(name))];
  const withRow = rows.some(entry => entry.row), withSteps = rows.some(entry => entry.steps);
  const head = ['test set', withRow && 'protocol', 'model', withSteps && 'post-processing'].filter(Boolean);
  const table = make('table', {}, make('thead', {}, make('tr', {}, ...head.map(name => text('th', name, 'text')),
    text('th', 'seeds'), ...columns.map(name => text('th', name)))));
  const body = make('tbody');
  for (const entry of rows) {
    const line = make('tr', {}, text('td', entry.set, 'text'), withRow ? text('td', entry.row, 'text') : null,
      text('td', entry.model, 'text'), withSteps ? text('td', entry.steps || 'none', 'text') : null,
      text('td', `${entry.seeds}`));
    for (const name of columns) {
      const value = entry.values[name];
      if (!value) { line.append(text('td', '')); continue; }
      const rivals = rows.filter(other => other.set === entry.set && other.row === entry.row && other.values[name]);
      const best = rivals.length > 1 && rivals.every(other => other.values[name][0] <= value[0]);
      const cell = text('td', value[0].toFixed(1), best ? 'best' : '');
      if (value[1] !== null) cell.append(text('small', `± ${value[1].toFixed(1)}`));
      if (value[2].length > 1) cell.title = `seeds: ${value[2].map(one => one.toFixed(2)).join(', ')}`;
      line.append(cell);
    }
    body.append(line);
  }
  table.append(body);
  const note = 'In percent. ± is the standard deviation over seeds, or over the drawn galleries of one seed. The best ' +
    'value of each test set is bold.';
  return [text('p', note, 'quiet'), make('div', {className: 'scroll'}, table)];
}

const figure = (title, svg) => svg ? make('figure', {}, text('figcaption', title), plot(svg)) : null;

function curves() {
  if (!set) return null;
  return [text('p', `${set.name}: ${set.about}; ${set.rule}. Without post-processing; bands are one standard deviation ` +
    'over seeds.', 'quiet'), make('div', {className: 'plots'}, figure('CMC', set.plots.cmc),
    figure('Precision and recall', set.plots.precision_recall))];
}

function pairs() {
  if (!set || !(set.plots.roc || model.histogram)) return null;
  return [text('p', 'Every query against every gallery image: how far the scores of one person and of two people lie ' +
    'apart.', 'quiet'), make('div', {className: 'plots'}, figure('ROC of all models', set.plots.roc),
    figure(`Scores of ${model.name}`, model.histogram))];
}

let cameraMetric = 'mAP';
function cameras() {
  const found = model && model.cameras;
  if (!found) return null;
  const choice = make('select', {}, ...Object.keys(found.values).map(name => new Option(name, name, false,
    name === cameraMetric)));
  const place = make('div', {className: 'scroll'});
  const draw = () => {
    cameraMetric = choice.value;
    const values = found.values[cameraMetric], known = values.flat().filter(value => value !== null);
    const low = Math.min(...known), range = Math.max(...known) - low || 1;
    const table = make('table', {className: 'matrix'}, make('tr', {}, text('th', 'query ↓  gallery →', 'text'),
      ...found.gallery.map(name => text('th', `cam ${name}`))));
    found.query.forEach((name, i) => {
      const line = make('tr', {}, text('th', `cam ${name}`, 'text'));
      found.gallery.forEach((other, j) => {
        const value = values[i][j], cell = text('td', value === null ? '–' : value.toFixed(1), value === null ? 'none' : '');
        cell.title = `${cameraMetric}, cam ${name} to cam ${other}: ${several(found.count[i][j], 'query', 'queries')}`;
        if (value !== null) {
          const level = (value - low) / range;
          cell.style.background = `rgba(47, 111, 222, ${0.08 + 0.72 * level})`;
          if (level > 0.6) cell.style.color = '#fff';
        }
        line.append(cell);
      });
      table.append(line);
    });
    place.replaceChildren(table);
  };
  choice.addEventListener('change', draw);
  draw();
  return [text('p', `How well ${model.name} finds the people of one camera in the images of another. A dash: no query has ` +
    'a match there.', 'quiet'), make('div', {className: 'bar'}, make('label', {}, 'Value ', choice)), place];
}

function listRow(entry) {
  const about = make('div', {className: 'about'});
  if (entry.ap !== undefined) {
    about.append(make('div', {}, text('b', `AP ${entry.ap.toFixed(1)}`)),
      text('div', entry.first === 1 ? 'right at rank 1' : `first match at rank ${entry.first.toLocaleString()}`, 'quiet'),
      text('div', several(entry.matches, 'match', 'matches'), 'quiet'));
  } else about.append(text('div', baseName(data.images[entry.query[0]][1]), 'quiet'));
  return make('div', {className: 'list'}, about, row(tile(entry.query, 'query'), ...entry.images.map(one => tile(one))));
}

function hardest() {
  if (!model || !model.lists.length) return null;
  return [text('p', `The queries of ${model.name} with the lowest average precision. Blue is the query; green and ✓ show ` +
    'its person, red and ✗ somebody else.', 'quiet'), ...model.lists.slice(0, 6).map(listRow)];
}

function confused() {
  if (!model || !model.confusions.length) return null;
  const cards = model.confusions.slice(0, 12).map(entry => make('div', {className: 'card'},
    text('b', entry.pids.join(' and ')),
    text('p', `take ${percent(entry.share)} of each other's first places (${entry.count})`, 'quiet'),
    row(tile(entry.images[0], 'query'), tile([...entry.images[1], entry.score, false]))));
  return [text('p', `A query with n matches should have them at its first n places. ${several(model.num_confusions,
    'pair')} of identities take places of each other; these do most often. Shown are the two images that score ` +
    'highest.', 'quiet'), make('div', {className: 'cards'}, ...cards)];
}

const groupsOf = (names, groups) => make('div', {className: 'groups'}, ...groups.map((group, number) =>
  make('div', {}, text('div', names[number], 'quiet'), row(...group.map(image => tile(image))))));

function suspects(title, note, entries, total, draw, className = 'cards wide') {
  if (!entries.length) return [];
  return [text('h3', `${title} (${total.toLocaleString()})`), text('p', note, 'quiet'),
    make('div', {className}, ...entries.slice(0, 12).map(draw))];
}

function labels() {
  if (!model) return null;
  const card = (title, note, ...content) => make('div', {className: 'card'}, text('b', title),
    text('p', note, 'quiet'), ...content);
  const total = model.num_suspects;
  const content = [
    ...suspects('One person under two identities?', 'Most pairs of the two score like pairs of one person.', model.same,
      total.same, entry => card(entry.pids.join(' and '), `${percent(entry.alike)} of their pairs look like one person`,
        groupsOf(entry.pids, entry.groups))),
    ...suspects('Two people under one identity?', 'The images fall into two groups that do not look like one person.',
      model.two, total.two, entry => card(entry.pid, `${percent(entry.alike)} of the pairs across the groups look like one ` +
        `person, within them at least ${percent(entry.within)}` +
        (entry.by_camera ? '; no camera has both, so the cameras may be the reason' : ''),
        groupsOf(entry.sizes.map(size => several(size, 'image')), entry.groups))),
    ...suspects('An image under the wrong identity?', 'Most queries of another identity rank it like their own, and most ' +
      'images of its own identity do not look like it.', model.wrong, total.wrong,
      entry => card(`${entry.pid}, looks like ${entry.looks_like}`,
        `${percent(entry.alike)} of the queries of ${entry.looks_like}; ${percent(entry.own)} of its own images`,
        row(tile(entry.image, 'query')), groupsOf([`labeled: ${entry.pid}`, `looks like: ${entry.looks_like}`],
          entry.groups))),
    ...suspects('The same file several times', 'Files with equal content; different identities are an error.',
      model.copies, total.copies || 0, group => card(new Set(group.map(image => image[1])).size > 1 ?
        'different identities' : group[0][1], group.map(image => baseName(data.images[image[0]][1])).join(', '),
        row(...group.map(image => tile(image)))), 'cards'),
  ];
  if (!content.length) return null;
  return [text('p', `What the scores of ${model.name} do not agree with, at its equal error rate. A model that confuses ` +
    'people suspects right labels too, so look before you change one.', 'quiet'), ...content];
}

// Ranked lists with filters and pages.
function browser(lists, total, labeled) {
  const cameras = [...new Set(lists.map(entry => entry.query[2]))].filter(Boolean).sort(new Intl.Collator(undefined,
    {numeric: true}).compare);
  const search = make('input', {type: 'search', placeholder: 'identity or file', className: 'search'});
  const camera = make('select', {className: 'camera'}, new Option('all cameras', ''),
    ...cameras.map(name => new Option(`cam ${name}`, name)));
  const which = make('select', {className: 'which'}, new Option('all queries', ''), new Option('wrong at rank 1', 'wrong'),
    new Option('right at rank 1', 'right'));
  const order = make('select', {className: 'order'}, new Option('hardest first', 'hard'),
    new Option('easiest first', 'easy'), new Option('by identity', 'pid'));
  const before = make('button', {textContent: '‹ Back', type: 'button', className: 'back'});
  const after = make('button', {textContent: 'Next ›', type: 'button', className: 'next'});
  const where = text('span', '', 'quiet where'), place = make('div', {className: 'lists'});
  let page = 0;
  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    const fits = entry => (!camera.value || entry.query[2] === camera.value) &&
      (!which.value || (entry.first === 1) === (which.value === 'right')) &&
      (!wanted || entry.query[1].toLowerCase() === wanted ||
        baseName(data.images[entry.query[0]][1]).toLowerCase().includes(wanted));
    const found = lists.filter(fits);
    if (order.value === 'easy') found.reverse();
    if (order.value === 'pid') found.sort((a, b) => a.query[1].localeCompare(b.query[1], undefined, {numeric: true}));
    page = Math.max(0, Math.min(page, Math.ceil(found.length / PAGE) - 1));
    const shown = found.slice(page * PAGE, (page + 1) * PAGE);
    where.textContent = found.length ? `${page * PAGE + 1}–${page * PAGE + shown.length} of ${found.length}` : 'none';
    before.disabled = page === 0;
    after.disabled = (page + 1) * PAGE >= found.length;
    place.replaceChildren(...shown.map(listRow));
  };
  for (const node of [search, camera, which, order]) node.addEventListener('input', () => { page = 0; draw(); });
  before.addEventListener('click', () => { page -= 1; draw(); });
  after.addEventListener('click', () => { page += 1; draw(); });
  draw();
  const note = lists.length < total ? `${lists.length} of ${several(total, 'query', 'queries')}` +
    (labeled ? ': the hardest, and others spread over the rest.' : ', spread over all.') : total === 1 ? 'The only query.' : `All ${total.toLocaleString()} queries.`;
  return [text('p', note, 'quiet'), make('div', {className: 'bar'}, search, labeled && camera, labeled && which,
    labeled && order, make('div', {className: 'pages'}, before, where, after)), place].filter(Boolean);
}

function methods() {
  return data.parts.map(part => {
    const node = make('div', {className: 'part'}, text('h3', part.title), text('p', part.note, 'quiet'));
    if (part.file) node.append(make('img', {src: part.file, alt: part.title, loading: 'lazy'}));
    if (part.svg) node.append(make('div', {className: 'plots'}, make('figure', {}, plot(part.svg))));
    for (const entries of part.graph || []) {
      node.append(make('div', {className: 'list'}, row(...entries.map(([number, pid, score], place) =>
        tile([number, pid, undefined, score], place ? '' : 'query')))));
    }
    return node;
  });
}

function choose() {
  set = data.sets[get('set').selectedIndex];
  const before = model && model.name, names = set.models.map(one => one.name);
  get('model').replaceChildren(...names.map(name => new Option(name, name)));
  get('model').selectedIndex = Math.max(0, names.indexOf(before));
  model = set.models[get('model').selectedIndex];
  updates.forEach(update => update());
}

document.title = get('title').textContent = data.title;
get('made').textContent = data.made;
get('choice').hidden = !data.sets.length;
get('set').append(...data.sets.map(one => new Option(one.name)));
section('results', 'Results', results);
section('curves', 'Ranking', curves);
section('pairs', 'Same or different person', pairs, 'Scores');
section('cameras', 'Cameras', cameras);
section('hardest', 'Hardest queries', hardest);
section('confused', 'Most confused identities', confused, 'Confused');
section('labels', 'Labels to check', labels, 'Labels');
section('lists', 'Ranked lists', () => model && browser(model.lists, model.num_lists, true));
data.unlabeled.forEach((part, number) => section(`unlabeled${number}`, `${part.name}: nearest images`,
  () => [text('p', part.about, 'quiet'), ...browser(part.lists, part.num_lists, false)], data.unlabeled.length > 1 ? `Nearest: ${part.name}` : 'Nearest images'));
section('methods', 'Inside the methods', methods, 'Methods');
section('faults', 'What is not in this report', () => data.faults.length ? [make('ul', {className: 'faults'},
  ...data.faults.map(sentence => text('li', sentence)))] : null, 'Missing');
main.append(make('footer'));
if (set) {
  choose();
  get('set').addEventListener('change', choose);
  get('model').addEventListener('change', () => {
    model = set.models[get('model').selectedIndex];
    updates.forEach(update => update());
  });
}
