// ECharts with the parts that the charts use and no others, and how it takes the page's colours and type.
import { CustomChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { type EChartsCoreOption, type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";
import { significant } from "../numbers/format";

use([CanvasRenderer, CustomChart, GridComponent, LineChart, ScatterChart, SVGRenderer, TooltipComponent]);

export { init };
export type { EChartsCoreOption, EChartsType };

/** The design's values that charts draw with. */
export interface Palette {
  surface: string;
  ink: string;
  soft: string;
  line: string;
  edge: string;
  accent: string;
  anomalous: string;
  anomalousFill: string;
  normal: string;
  normalFill: string;
  sans: string;
}

/** Reads them from the page as it is now, light or dark. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    surface: read("surface"), ink: read("ink"), soft: read("soft"), line: read("line"), edge: read("edge"), accent: read("accent"),
    anomalous: read("anomalous"), anomalousFill: read("anomalous-fill"), normal: read("normal"), normalFill: read("normal-fill"),
    sans: read("sans"),
  };
}

/** What every chart starts from. */
export function base(colours: Palette): EChartsCoreOption {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: colours.sans, color: colours.ink, fontSize: 12 },
    tooltip: {
      trigger: "axis",
      confine: true,
      backgroundColor: colours.surface,
      borderColor: colours.edge,
      textStyle: { color: colours.ink, fontFamily: colours.sans, fontSize: 13 },
      axisPointer: { lineStyle: { color: colours.edge, type: "solid" } },
      appendTo: "body",
    },
  };
}

/** Margins that do not move with the labels, so that overlays find the plot. */
export function grid(left = 56, right = 16, top = 16, bottom = 44): EChartsCoreOption {
  return { left, right, top, bottom, outerBoundsMode: "none" };
}

/** A numeric axis with its name in the middle. */
export function axis(colours: Palette, name: string, more: object = {}): EChartsCoreOption {
  return {
    type: "value",
    name,
    nameLocation: "middle",
    nameGap: 28,
    nameTextStyle: { color: colours.soft, fontSize: 12 },
    axisLine: { show: true, onZero: false, lineStyle: { color: colours.edge } },
    axisTick: { show: false },
    axisLabel: { color: colours.soft, hideOverlap: true, formatter: (value: number) => tick(value) },
    splitLine: { lineStyle: { color: colours.line, opacity: 0.6 } },
    ...more,
  };
}

/** A line across the plot at one value of an axis, with words at its end. Drawn here: the library's own marks weigh more. */
export function rule(colours: Palette, { at, upright, words, colour, width, dashed }: { at: number; /** At a value of the horizontal axis. */ upright: boolean; words: string; colour: string; width: number; dashed: boolean }): object {
  return {
    type: "custom", data: [[at]], encode: upright ? { x: 0, y: [] } : { x: [], y: 0 }, silent: true, clip: true, z: 5, tooltip: { show: false },
    renderItem: ({ coordSys: plot }: { coordSys: Record<"x" | "y" | "width" | "height", number> }, api: { coord(at: [number, number]): [number, number] }) => {
      const [x, y] = api.coord([at, at]);
      const [right, bottom] = [plot.x + plot.width, plot.y + plot.height];
      // On the side on which there is room.
      const left = x > plot.x + plot.width / 2;
      return {
        type: "group",
        children: [
          { type: "line", shape: upright ? { x1: x, y1: plot.y, x2: x, y2: bottom } : { x1: plot.x, y1: y, x2: right, y2: y }, style: { stroke: colour, lineWidth: width, lineDash: dashed ? "dotted" : "solid" } },
          { type: "text", style: { text: words, fill: colours.soft, fontFamily: colours.sans, fontSize: 11, ...(upright ? { x: left ? x - 6 : x + 6, y: plot.y + 2, align: left ? "right" : "left" } : { x: right - 6, y: y - 14, align: "right" }) } },
        ],
      };
    },
  };
}

/** A label of an axis: no more digits than it needs. */
export function tick(value: number): string {
  if (Math.abs(value) >= 10000) return significant(value, 3);
  if (value !== 0 && Math.abs(value) < 0.0001) return value.toExponential().replaceAll("-", "−");
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

/** Lines of a tooltip, as nodes: names are text, whatever they hold. */
export function tooltipLines(title: string, lines: readonly string[]): HTMLElement {
  const box = document.createElement("div");
  const head = document.createElement("strong");
  head.textContent = title;
  box.append(head);
  for (const line of lines) {
    const row = document.createElement("div");
    row.textContent = line;
    box.append(row);
  }
  return box;
}
