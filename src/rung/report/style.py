"""How a report looks: one style sheet, no fonts or files from elsewhere."""

STYLE = """
:root { --ink: #1f2733; --muted: #66707f; --line: #e3e7ed; --soft: #f6f7f9; --accent: #1d5fd1; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.55; -webkit-text-size-adjust: 100%;
  font: 16px/1.55 Inter, "Segoe UI", system-ui, -apple-system, Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 0 24px 72px; }
header { border-bottom: 1px solid var(--line); background: var(--soft); }
header > div { max-width: 1120px; margin: 0 auto; padding: 36px 24px 18px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 6px; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 52px 0 14px; padding-top: 4px; }
h3 { font-size: 16px; margin: 26px 0 8px; }
h4 { font-size: 14px; margin: 18px 0 6px; }
.subtitle { color: var(--muted); margin: 0; }
nav { margin-top: 16px; display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 14px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.notice { border-left: 4px solid #e0a100; background: #fff8e1; padding: 10px 16px; margin: 22px 0 0;
  border-radius: 4px; }
.notice p { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin: 26px 0 20px; }
@media (min-width: 900px) { .tiles { grid-template-columns: repeat(var(--columns), 1fr); } }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile .label { font-size: 13px; color: var(--muted); }
.tile .value { font-size: 22px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.35; white-space: nowrap; }
.tile .bar { font-size: 16px; font-weight: 500; color: var(--muted); letter-spacing: 0; }
.tile .unit { font-size: 14px; font-weight: 400; color: var(--muted); letter-spacing: 0; }
.tile .was { font-size: 13px; color: var(--muted); }
ul.words { margin: 0; padding-left: 20px; max-width: 860px; }
ul.words li { margin: 5px 0; }
ul.warnings { list-style: none; padding: 0; margin: 18px 0 0; }
ul.warnings li { border-left: 4px solid #d9534f; background: #fdf1f0; padding: 8px 16px; margin: 8px 0;
  border-radius: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin: 8px 0; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--muted); border-bottom: 1.5px solid #cfd5de;
  padding: 6px 12px 6px 0;
  vertical-align: bottom; font-size: 13px; line-height: 1.35; }
td { border-bottom: 1px solid var(--line); padding: 7px 12px 7px 0; vertical-align: top; }
.number { text-align: right; padding-right: 0; padding-left: 14px; }
.number + :not(.number) { padding-left: 26px; }
td.number { white-space: nowrap; }
table.errors td:first-child { white-space: nowrap; }
table.errors th { max-width: 130px; }
.split { font-weight: 600; }
.small { font-size: 12px; color: var(--muted); font-weight: 400; }
.note { font-size: 13px; color: var(--muted); max-width: 860px; margin: 8px 0; }
.grid { display: grid; gap: 18px; }
.grid.two { grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
.grid.three { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
figure { margin: 8px 0; border: 1px solid var(--line); border-radius: 10px; padding: 10px; min-width: 0; }
figcaption { font-size: 13px; color: var(--muted); padding: 2px 8px 6px; }
ul.findings { list-style: none; padding: 0; font-size: 14px; }
ul.findings li { padding: 6px 0; border-bottom: 1px solid var(--line); }
.badge { display: inline-block; min-width: 66px; text-align: center; border-radius: 999px; padding: 1px 10px;
  font-size: 12px;
  font-weight: 600; margin-right: 6px; }
.badge.error { background: #fbdcda; color: #9c1f19; }
.badge.warning { background: #ffefc7; color: #7a5500; }
.badge.note { background: #e4ecf9; color: #1f4f9e; }
code, pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: 14px; overflow-x: auto; }
dl { display: grid; grid-template-columns: minmax(140px, max-content) 1fr; gap: 3px 20px; font-size: 14px;
  margin: 12px 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 10px 0; }
summary { cursor: pointer; color: var(--accent); font-size: 14px; }
footer { color: var(--muted); font-size: 13px; margin-top: 56px; border-top: 1px solid var(--line);
  padding-top: 14px; }
@media print { nav { display: none; } figure, .tile { break-inside: avoid; } }
@media (max-width: 600px) { h1 { font-size: 24px; } header > div, main { padding-left: 16px; padding-right: 16px; } }
"""
