(() => {
  'use strict';
  const period = 2000, patience = 10000, remembered = 45, newsEvery = 15000;
  const $ = id => document.getElementById(id);
  const table = $('table'), link = $('json'), none = '–';
  document.documentElement.classList.add('js');

  // As Format.cs has them.
  const round = v => Math.floor(v + 0.5);
  const whole = v => round(v).toLocaleString('en-US');
  const tenth = v => (Math.floor(v * 10 + 0.5) / 10).toFixed(1);
  const seconds = v => {
    if (v === 0) return '0';
    if (v < 0.000001) return '<1 µs';
    if (v < 0.0009995) return round(v * 1e6) + ' µs';
    if (v < 0.00995) return tenth(v * 1e3) + ' ms';
    if (v < 0.9995) return round(v * 1e3) + ' ms';
    if (v < 59.95) return tenth(v) + ' s';
    const s = round(v), part = Math.floor;
    if (s < 3600) return part(s / 60) + ' min ' + s % 60 + ' s';
    if (s < 86400) return part(s / 3600) + ' h ' + part(s % 3600 / 60) + ' min';
    return part(s / 86400) + ' d ' + part(s % 86400 / 3600) + ' h';
  };
  const code = v => v.replaceAll('_', ' ');
  const formats = {
    n: whole,
    r: v => v === 0 ? '0' : v < 0.05 ? '<0.1' : v < 9.95 ? tenth(v) : whole(v),
    s: seconds,
    p: v => v === 0 ? '0 %' : v >= 1 ? round(v * 100) + ' %' : v < 0.001 ? '<0.1 %' : tenth(Math.floor(v * 1000) / 10) + ' %',
    c: code,
    l: v => v.map(code).join(', '),
    t: v => v,
  };
  const at = (data, path) => path.split('.').reduce((o, k) => o == null ? null : o[k], data) ?? null;
  const show = (data, path, type) => { const v = at(data, path); return v === null ? none : formats[type](v); };
  const say = (el, text) => { if (el.textContent !== text) el.textContent = text; };
  const keep = (el, name, value) => { if (el.getAttribute(name) !== value) el.setAttribute(name, value); };

  const bars = {
    connections(svg, data) {
      const { connection: c } = data, most = Math.max(c.max ?? c.count, c.count, 1);
      let x = 0;
      for (const part of ['used', 'connecting', 'closing', 'idle']) {
        const rect = svg.querySelector('.' + part), width = c[part] * 100 / most;
        keep(rect, 'x', String(x));
        keep(rect, 'width', String(width));
        x += width;
      }
    },
    ports(svg, data) {
      keep(svg.querySelector('.level'), 'width', String(Math.min(100, (data.port.pressure ?? 0) * 100)));
    },
  };

  const row = (cells) => {
    const tr = document.createElement('tr');
    cells.forEach((text, i) => {
      const cell = document.createElement(i ? 'td' : 'th');
      if (!i) cell.scope = 'row';
      cell.textContent = text;
      tr.append(cell);
    });
    return tr;
  };
  const lists = {
    counts: v => Object.entries(v).sort((a, b) => b[1] - a[1]).map(([k, n]) => [code(k), whole(n)]),
    addresses: v => v.map(a => [a.endpoint, whole(a.connections), code(a.breaker), whole(a.consecutive_failures)]),
  };

  // The last values of every figure that has a line, by pool; a line is drawn when there are two.
  const past = new Map();
  const remember = (key, data, paths) => {
    let lines = past.get(key);
    if (!lines) past.set(key, lines = {});
    for (const path of paths) {
      const line = lines[path] ??= [];
      // Before there are rates there is nothing to remember; an average of nothing is drawn as zero.
      if (data.rates === null && path.startsWith('rates.')) continue;
      line.push(at(data, path) ?? 0);
      if (line.length > remembered) line.shift();
    }
    return lines;
  };
  const draw = (svg, line, type) => {
    const top = Math.max(0, ...line), low = Math.min(...line);
    const points = line.map((v, i) => `${(100 * (i + remembered - line.length) / (remembered - 1)).toFixed(1)},${(15 - (top ? 14 * v / top : 0)).toFixed(1)}`);
    keep(svg.querySelector('polyline'), 'points', line.length > 1 ? points.join(' ') : '');
    say(svg.nextElementSibling, line.length > 1 ? ` Since this page watches: from ${formats[type](low)} to ${formats[type](top)}.` : '');
  };

  const fill = (root, key, data) => {
    for (const el of root.querySelectorAll('[data-f]')) {
      const text = show(data, el.dataset.f, el.dataset.t);
      say(el, text);
      el.classList.toggle('zero', text === '0' || text === none);
    }
    for (const svg of root.querySelectorAll('[data-bar]')) bars[svg.dataset.bar](svg, data);
    const has = path => { const v = at(data, path); return Array.isArray(v) ? v.length > 0 : !!v; };
    for (const el of root.querySelectorAll('[data-show]')) el.hidden = !has(el.dataset.show);
    for (const el of root.querySelectorAll('[data-hide]')) el.hidden = has(el.dataset.hide);
    for (const body of root.querySelectorAll('[data-list]')) {
      const rows = lists[body.dataset.kind](at(data, body.dataset.list));
      const text = JSON.stringify(rows);
      if (body.dataset.text === text) continue;
      body.dataset.text = text;
      body.replaceChildren(...(rows.length ? rows : [[none]]).map(row));
    }
    const sparks = [...root.querySelectorAll('[data-spark]')];
    const lines = remember(key, data, sparks.map(svg => svg.dataset.spark));
    for (const svg of sparks) draw(svg, lines[svg.dataset.spark], svg.dataset.t);
    if (data.severity) root.dataset.severity = data.severity;
  };

  const keyOf = pool => (pool.ad_hoc ? 'a ' : 'n ') + pool.name;
  const busy = el => el.contains(document.activeElement);

  // Whoever reads a row, with the keyboard, the pointer or its details open, keeps it where it is; so does a page scrolled down.
  const mayMove = () => scrollY === 0 && !busy(table) && !table.matches(':hover') && !table.querySelector('details[open]');

  const arrange = pools => {
    const rows = new Map([...table.tBodies].filter(b => b.dataset.key).map(b => [b.dataset.key, b]));
    const wanted = new Set(pools.map(keyOf));
    for (const [key, body] of rows) {
      if (wanted.has(key)) continue;
      body.classList.toggle('gone', busy(body));
      if (!busy(body)) {
        body.remove();
        past.delete(key);
      }
    }
    let last = $('totals');
    const move = mayMove();
    for (const pool of pools) {
      const key = keyOf(pool);
      let body = rows.get(key);
      if (!body) {
        body = $('row').content.firstElementChild.cloneNode(true);
        body.dataset.key = key;
        table.append(body);
      }
      if (move) {
        if (last.nextElementSibling !== body) last.after(body);
        last = body;
      }
      body.classList.remove('gone');
      fill(body, key, pool);
    }
  };

  let announced = '', announcedAt = -newsEvery;
  const announce = totals => {
    const { pools, pools_failing: failing, pools_strained: strained } = totals;
    document.title = (failing + strained ? `(${failing + strained}) ` : '') + title;
    const text = failing ? `${failing} of ${pools} pools failing` : strained ? `${strained} of ${pools} pools strained` : 'All pools are well';
    const first = announced === '';
    if (text === announced || (!first && performance.now() - announcedAt < newsEvery)) return;
    announced = text;
    announcedAt = performance.now();
    if (!first) say($('news'), text);
  };

  const title = document.title;
  const render = report => {
    const listed = report.pools.length;
    fill($('tiles'), 'tiles', report.totals);
    const { pools_failing: failing, pools_strained: strained } = report.totals;
    $('trouble').dataset.severity = failing ? 'failing' : strained ? 'strained' : 'ok';
    fill($('totals'), 'totals', report.totals);
    arrange(report.pools);
    const note = $('note');
    note.hidden = listed === report.totals.pools;
    say(note, `Showing ${whole(listed)} of ${whole(report.totals.pools)} pools, those in trouble first. The totals are of all of them; stats.json?limit=10000 lists them all.`);
    const read = new Date(report.time);
    $('read').dateTime = report.time;
    say($('read'), [read.getHours(), read.getMinutes(), read.getSeconds()].map(n => String(n).padStart(2, '0')).join(':'));
    say($('over'), report.interval === null ? ', rates come with the next ones' : `, rates over ${whole(report.interval)} s`);
    announce(report.totals);
  };

  const alarm = text => {
    const el = $('alarm');
    document.documentElement.classList.toggle('stale', !!text);
    if (!text && !el.hidden) say($('news'), 'The server answers again.');
    el.hidden = !text;
    // Said once, not at every try.
    say(el, text);
  };
  const complaint = error => {
    const since = ` The figures below are those of ${$('read').textContent}.`;
    if (error.status === 401 || error.status === 403) return `The server wants you to sign in again (${error.status}): reload this page.${since}`;
    if (error.status) return `The server answers, but not with figures (status ${error.status}).${since}`;
    return `The server does not answer.${since}`;
  };

  const read = async () => {
    const response = await fetch(link.href + location.search, { cache: 'no-store', headers: { accept: 'application/json' }, signal: AbortSignal.timeout(patience) });
    if (!response.ok || !response.headers.get('content-type')?.startsWith('application/json')) throw { status: response.status };
    return response.json();
  };

  let paused = false, timer = 0, running = false;
  const tick = async () => {
    clearTimeout(timer);
    if (paused || running || document.hidden) return;
    running = true;
    try {
      const report = await read();
      if (!paused) render(report);
      alarm('');
    } catch (error) {
      alarm(complaint(error));
    }
    running = false;
    timer = setTimeout(tick, period);
  };

  const pause = $('pause');
  pause.hidden = false;
  pause.addEventListener('click', () => {
    paused = !paused;
    document.documentElement.classList.toggle('paused', paused);
    say(pause, paused ? 'Resume' : 'Pause');
    say($('state'), paused ? 'Paused at figures of' : 'Figures of');
    say($('news'), paused ? 'Paused.' : 'Reading again.');
    tick();
  });
  document.addEventListener('visibilitychange', tick);
  tick();
})();
