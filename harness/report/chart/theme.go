package chart

// ChartCSS themes the charts; the page has it once. The colours are Okabe and Ito's,
// which colour-blind readers can tell apart, some of them darker on white so that they
// have the contrast of a line (3:1) or, for text, of text (4.5:1). Paper is light.
const CSS = `.chart{display:block;width:100%;height:auto;font:10px sans-serif;
--chart-text:#333;--chart-paper:#fff;--chart-axis:#767676;--chart-grid:#ccc;--chart-blue:#0072b2;--chart-red:#c24a00;--chart-green:#007a59;--chart-purple:#9c4577;--chart-grey:#6b6b6b;--chart-incident:#d55e00;--chart-recovery:#009e73;--chart-baseline:#56b4e9}
@media screen and (prefers-color-scheme:dark){.chart{
--chart-text:#ccc;--chart-paper:#16181c;--chart-axis:#888;--chart-grid:#3a3d42;--chart-blue:#56b4e9;--chart-red:#f0883e;--chart-green:#2fbf95;--chart-purple:#cc79a7;--chart-grey:#9a9a9a}}
.chart text{fill:var(--chart-text);stroke:var(--chart-paper);stroke-width:2.5px;stroke-linejoin:round;paint-order:stroke}
.chart .m{text-anchor:middle}.chart .e{text-anchor:end}
.chart .s{fill:none;stroke:currentColor;stroke-linecap:round;stroke-linejoin:round}.chart .f{fill:currentColor}
.chart .axis{color:var(--chart-axis)}.chart .grid,.chart .edge{color:var(--chart-grid)}.chart .level,.chart .gap{color:var(--chart-grey)}
.chart .gap{fill-opacity:.18}
.chart .warmup{fill-opacity:0}.chart .f.baseline{color:var(--chart-baseline);fill-opacity:.1}.chart .f.incident{color:var(--chart-incident);fill-opacity:.13}.chart .f.recovery{color:var(--chart-recovery);fill-opacity:.12}
.chart .trigger,.chart .rejections,.chart .of-incident{color:var(--chart-red)}.chart .remedy,.chart .of-recovery{color:var(--chart-green)}
.chart .goodput,.chart .clients,.chart .of-baseline{color:var(--chart-blue)}.chart .limit,.chart .signal{color:var(--chart-purple)}
`
