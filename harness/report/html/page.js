'use strict';
// The page is whole without this. It adds: tables that sort, arms that can be
// filtered, values under the cursor, and arms that open when a link leads to them.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, props) => Object.assign(document.createElement(tag), props);
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  // Tables. Numbers come before text, and a cell may say what it is sorted by.
  const keyOf = cell => {
    const said = cell.dataset.sort ?? cell.textContent.trim();
    const number = parseFloat(said);
    return Number.isNaN(number) ? said : number;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return typeof a === 'number' ? a - b : a.localeCompare(b);
    return typeof a === 'number' ? -1 : 1;
  };
  const sort = (table, header) => {
    const down = header.getAttribute('aria-sort') === 'ascending';
    all('thead th', table).forEach(th => th.removeAttribute('aria-sort'));
    header.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const body = table.tBodies[0];
    const rows = [...body.rows].map(row => [keyOf(row.cells[header.cellIndex]), row]);
    rows.sort((a, b) => compare(a[0], b[0]) * (down ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
  };
  const sortable = table => {
    if (table.tBodies[0].rows.length < 2) return;
    all('thead th', table).forEach(th => {
      const button = make('button', { type: 'button', textContent: th.textContent });
      button.addEventListener('click', () => sort(table, th));
      th.replaceChildren(button);
    });
  };

  // A stop of the Tab key only where there is something to scroll.
  const scrollable = region => {
    if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
    else region.removeAttribute('tabindex');
  };

  // Charts: a slider over the plotted area, which the arrow keys move.
  const round = y => (y >= 100 ? y.toFixed(0) : String(Math.round(y * 10) / 10));
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const mid = (low + high) >> 1;
      if (xs[mid] <= x) low = mid; else high = mid;
    }
    return Math.abs(xs[high] - x) < Math.abs(xs[low] - x) ? high : low;
  };
  const explorable = figure => {
    const data = figure.querySelector('script');
    const svg = figure.querySelector('svg');
    if (!data || !svg) return;
    const h = JSON.parse(data.textContent);
    const box = svg.viewBox.baseVal;
    const stops = [...new Set(h.lines.flatMap(line => line.xs_ms))].sort((a, b) => a - b);
    if (!stops.length || !box.width) return;
    const at = make('div', { className: 'at', hidden: true });
    const readout = make('div', { className: 'readout', hidden: true });
    const probe = make('div', { className: 'probe', tabIndex: 0, role: 'slider' });
    probe.append(at);
    figure.append(probe, readout);
    probe.setAttribute('aria-label', 'Values of ' + figure.querySelector('figcaption b').textContent + ' Arrow keys move');
    probe.setAttribute('aria-valuemin', stops[0]);
    probe.setAttribute('aria-valuemax', stops[stops.length - 1]);
    probe.setAttribute('aria-valuenow', stops[0]);
    probe.setAttribute('aria-valuetext', 'nothing is chosen');
    let chosen = 0;
    const place = () => {
      const scale = svg.clientWidth / box.width || svg.getBoundingClientRect().width / box.width;
      const plot = figure.querySelector('.plot');
      Object.assign(probe.style, {
        left: plot.offsetLeft + (h.left - box.x) * scale + 'px', top: plot.offsetTop + (h.top - box.y) * scale + 'px',
        width: (h.right - h.left) * scale + 'px', height: (h.bottom - h.top) * scale + 'px',
      });
    };
    const show = index => {
      chosen = clamp(index, 0, stops.length - 1);
      const x = stops[chosen];
      const said = h.lines.filter(line => line.xs_ms.length).map(line => {
        const y = line.ys[nearest(line.xs_ms, x)];
        return line.name + ': ' + (y === null ? '–' : round(y) + (line.unit && line.unit !== '/s' ? ' ' : '') + line.unit);
      });
      const text = [(x / 1000).toFixed(2) + ' s', ...said].join('\n');
      const share = (x - h.from_ms) / (h.to_ms - h.from_ms);
      at.hidden = readout.hidden = false;
      at.style.left = 100 * clamp(share, 0, 1) + '%';
      readout.textContent = text;
      readout.style.top = probe.offsetTop + 4 + 'px';
      const left = probe.offsetLeft + share * probe.offsetWidth;
      readout.style.left = (share < 0.5 ? left + 8 : Math.max(left - readout.offsetWidth - 8, 0)) + 'px';
      probe.setAttribute('aria-valuenow', x);
      probe.setAttribute('aria-valuetext', text.replaceAll('\n', ', '));
    };
    const hide = () => { at.hidden = readout.hidden = true; };
    probe.addEventListener('pointermove', e => {
      const r = probe.getBoundingClientRect();
      show(nearest(stops, h.from_ms + (e.clientX - r.left) / r.width * (h.to_ms - h.from_ms)));
    });
    probe.addEventListener('pointerleave', hide);
    probe.addEventListener('blur', hide);
    probe.addEventListener('focus', () => { place(); show(chosen); });
    probe.addEventListener('keydown', e => {
      const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
      if (e.key in steps) show(chosen + steps[e.key]);
      else if (e.key === 'Home') show(0);
      else if (e.key === 'End') show(stops.length - 1);
      else if (e.key === 'Escape') hide();
      else return;
      e.preventDefault();
    });
    place();
    new ResizeObserver(place).observe(figure);
  };

  // What an arm holds is made ready when it is opened first.
  const ready = new WeakSet();
  const prepare = arm => {
    if (!ready.has(arm)) {
      ready.add(arm);
      all('table', arm).forEach(sortable);
      all('.charts figure', arm).forEach(explorable);
    }
    // After the buttons of its headings, which can make a table wider.
    all('.scroll', arm).forEach(scrollable);
  };
  const arms = all('details.arm');
  arms.forEach(arm => {
    arm.addEventListener('toggle', () => { if (arm.open) prepare(arm); });
    if (arm.open) prepare(arm);
  });
  const outside = selector => all(selector).filter(e => !e.closest('details.arm'));
  outside('table').forEach(sortable);
  const refit = () => {
    outside('.scroll').forEach(scrollable);
    arms.filter(arm => arm.open).forEach(arm => all('.scroll', arm).forEach(scrollable));
  };
  refit();
  addEventListener('resize', refit);

  const contents = document.querySelector('nav details');
  contents.open = matchMedia('(min-width: 75rem)').matches;

  const follow = () => {
    const arm = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!arm || !arm.matches('details.arm')) return;
    arm.hidden = false;
    arm.open = true;
    arm.querySelector('summary').focus();
    arm.scrollIntoView();
  };
  addEventListener('hashchange', follow);
  follow();

  const form = document.querySelector('.filter');
  const said = form.querySelector('output');
  form.hidden = false;
  form.addEventListener('change', () => {
    const only = form.elements.arms.value;
    arms.forEach(arm => { arm.hidden = only !== 'all' && !arm.classList.contains(only); });
    all('.scenario').forEach(s => { s.hidden = !all('details.arm', s).some(arm => !arm.hidden); });
    const shown = arms.filter(arm => !arm.hidden).length;
    said.textContent = shown + ' of ' + arms.length + ' arms';
  });
  form.addEventListener('submit', e => e.preventDefault());
  all('button', form).forEach(button => button.addEventListener('click', () => {
    arms.filter(arm => !arm.hidden).forEach(arm => { arm.open = !!button.dataset.open; });
  }));

  // On paper every arm is open, also where the style sheet cannot do that.
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = all('details:not([open])');
    closed.forEach(d => { d.open = true; });
  });
  addEventListener('afterprint', () => closed.forEach(d => { d.open = false; }));
})();
