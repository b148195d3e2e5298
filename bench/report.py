#!/usr/bin/env python3
"""The figures of bench/peers.py as one HTML page without outside references: bench/report.py PEERS.json [-o PAGE.html]

A bar per model says how many times faster Ingot is than the fastest peer that is right. Where the JSON has kernels
(peers.py --kernels), each model gets its roofline: a point per kernel, under the lines of what the machine can do at best.
"""
import argparse
import html
import json
import math
from pathlib import Path

WIDTH = 900
STYLE = """body{font:14px system-ui,sans-serif;margin:2em auto;max-width:960px;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.2em .6em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}h2{margin-top:2em}svg{width:100%;height:auto}
details{margin:.4em 0}summary{cursor:pointer}.faster{fill:#2a7f4f}.tie{fill:#8a8a8a}.slower{fill:#b5482f}.line{stroke:#444;fill:none}
.grid{stroke:#ddd}text{font:12px system-ui,sans-serif;fill:#222}circle{fill:#2a5f9f;fill-opacity:.6}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}text{fill:#ddd}.grid{stroke:#444}.line{stroke:#bbb}td,th{border-color:#444}}"""


def escape(value):
    return html.escape(str(value))


def bars(models, tie):
    """Speed against the best peer, on a logarithmic axis; 1 is as fast."""
    rows = sorted(((1 / r["ratio"], name) for name, r in models.items() if r.get("ratio")), reverse=True)
    if not rows:
        return "<p>No model has a peer to compare with.</p>"
    low = min(0.5, min(s for s, _ in rows))
    high = max(2.0, max(s for s, _ in rows))
    left, right, step = 300, WIDTH - 60, 20
    x = lambda s: left + (right - left) * math.log(s / low) / math.log(high / low)
    out = [f'<svg viewBox="0 0 {WIDTH} {len(rows) * step + 30}" role="img" aria-label="speed relative to the best peer">']
    for mark in (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32):
        if low <= mark <= high:
            out.append(f'<line class="grid" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="0" y2="{len(rows) * step}"/>'
                       f'<text x="{x(mark):.1f}" y="{len(rows) * step + 16}" text-anchor="middle">{mark:g}x</text>')
    for k, (speed, name) in enumerate(rows):
        kind = "tie" if abs(1 / speed - 1) <= tie else "faster" if speed > 1 else "slower"
        a, b = sorted((x(1), x(speed)))
        out.append(f'<text x="{left - 8}" y="{k * step + 14}" text-anchor="end">{escape(name)}</text>'
                   f'<rect class="{kind}" x="{a:.1f}" y="{k * step + 3}" width="{max(b - a, 1):.1f}" height="{step - 6}"/>'
                   f'<text x="{max(b, x(1)) + 4:.1f}" y="{k * step + 14}">{speed:.2f}</text>')
    return "".join(out) + "</svg>"


def roofline(kernels, peak):
    """GFLOP/s over FLOP/byte, both logarithmic; the area of a point is its share of the time."""
    points = [(k["gflops"] / k["gbytes_per_s"], k["gflops"], k) for k in kernels if k["gflops"] > 0 and k["gbytes_per_s"] > 0]
    if not points:
        return ""
    total = sum(k["ms"] for k in kernels) or 1
    lows = (min(min(p[0] for p in points), 0.1), min(min(p[1] for p in points), 0.1))
    highs = (max(max(p[0] for p in points), 1000), peak["gflops"] * 2)
    height, left = 320, 60
    x = lambda v: left + (WIDTH - left - 20) * math.log(v / lows[0]) / math.log(highs[0] / lows[0])
    y = lambda v: height - 30 - (height - 50) * math.log(max(v, lows[1]) / lows[1]) / math.log(highs[1] / lows[1])
    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="roofline">']
    for level, rate in peak["gbytes_per_s"].items():
        knee = min(peak["gflops"] / rate, highs[0])
        start = max(lows[0], lows[1] / rate)
        out.append(f'<polyline class="line" points="{x(start):.1f},{y(start * rate):.1f} {x(knee):.1f},{y(knee * rate):.1f} '
                   f'{x(highs[0]):.1f},{y(peak["gflops"]):.1f}"/><text x="{x(start) + 4:.1f}" y="{y(start * rate) - 4:.1f}">{escape(level)}</text>')
    for mark in range(math.ceil(math.log10(lows[0])), math.floor(math.log10(highs[0])) + 1):
        out.append(f'<text x="{x(10 ** mark):.1f}" y="{height - 12}" text-anchor="middle">{10.0 ** mark:g}</text>')
    for mark in range(math.ceil(math.log10(lows[1])), math.floor(math.log10(highs[1])) + 1):
        out.append(f'<text x="{left - 8}" y="{y(10 ** mark) + 4:.1f}" text-anchor="end">{10.0 ** mark:g}</text>')
    out.append(f'<text x="{WIDTH - 20}" y="{height - 0}" text-anchor="end">FLOP/byte</text><text x="4" y="12">GFLOP/s</text>')
    for intensity, rate, k in points:
        radius = 2 + 14 * math.sqrt(k["ms"] / total)
        out.append(f'<circle cx="{x(intensity):.1f}" cy="{y(rate):.1f}" r="{radius:.1f}"><title>{escape(k["name"])}: {escape(k["schedule"])}\n'
                   f'{escape(k["node"])}\n{k["ms"]:.4g} ms, {rate:.1f} GFLOP/s, {k["gbytes_per_s"]:.1f} GB/s, '
                   f'{100 * k["share_of_peak"]:.0f} % of peak</title></circle>')
    return "".join(out) + "</svg>"


def kernel_table(kernels):
    total = sum(k["ms"] for k in kernels) or 1
    rows = "".join(f'<tr><td>{escape(k["name"])}</td><td>{k["ms"]:.4f}</td><td>{100 * k["ms"] / total:.1f} %</td><td>{k["gflops"]:.1f}</td>'
                   f'<td>{k["gbytes_per_s"]:.1f}</td><td>{100 * k["share_of_peak"]:.0f} %</td><td>{escape(k["schedule"])}</td></tr>' for k in kernels)
    return ("<table><tr><th>kernel</th><th>ms</th><th>time</th><th>GFLOP/s</th><th>GB/s</th><th>of peak</th><th>schedule</th></tr>" + rows + "</table>")


def page(result, tie=0.07):
    models = result["models"]
    peers = [p for p in result["versions"] if p not in ("ingot", "python")]
    cell = lambda r, side: f'{r[side]["ms"]:.4g}' if "ms" in r.get(side, {}) else "–"
    rows = []
    for name, r in models.items():
        if "skipped" in r:
            rows.append(f'<tr><td>{escape(name)}</td>{"<td>–</td>" * (len(peers) + 2)}<td>{escape(r["skipped"])}</td></tr>')
            continue
        notes = "; ".join(f"{p}: {r[p]['skipped']}" for p in peers if "skipped" in r.get(p, {}))
        ratio = f'{1 / r["ratio"]:.2f}' if r.get("ratio") else "–"
        rows.append(f'<tr><td>{escape(name)}</td><td>{cell(r, "ingot")}</td>{"".join(f"<td>{cell(r, p)}</td>" for p in peers)}<td>{ratio}</td><td>{escape(notes[:80])}</td></tr>')
    machine = result["machine"]
    mean = result.get("geometric_mean_ratio")
    kernels = "".join(f'<details><summary>{escape(name)}</summary>{roofline(r["kernels"], r["peak"])}{kernel_table(r["kernels"])}</details>'
                      for name, r in models.items() if r.get("kernels"))
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ingot beside its peers</title><style>{STYLE}</style></head><body>
<h1>Ingot beside its peers</h1>
<p>{escape(machine["cpu"])}, {machine["cpus"]} CPUs, {result["threads"]} thread{"s" if result["threads"] > 1 else ""}, {result["rounds"]} alternating rounds;
{escape(", ".join(f"{k} {v}" for k, v in result["versions"].items()))}.
{f"Geometric mean of the speed against the fastest right peer of each model: {1 / mean:.2f}x." if mean else ""}</p>
<h2>Speed against the best peer</h2>{bars(models, tie)}
<h2>Milliseconds per inference</h2><table><tr><th>model</th><th>ingot</th>{"".join(f"<th>{p}</th>" for p in peers)}<th>speed</th><th>notes</th></tr>{"".join(rows)}</table>
{f"<h2>Kernels</h2><p>A point is a kernel, its area the share of the time; lines are this machine at best, measured in the same minute.</p>{kernels}" if kernels else ""}
</body></html>
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what bench/peers.py wrote")
    parser.add_argument("-o", "--output", type=Path, help="default: beside it, .html")
    args = parser.parse_args()
    output = args.output or args.result.with_suffix(".html")
    output.write_text(page(json.loads(args.result.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
