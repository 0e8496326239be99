/** How busy the database was in the last 24 hours, to choose its size by looking. */
import Box from "@cloudscape-design/components/box";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import LineChart from "@cloudscape-design/components/line-chart";
import { useCallback } from "react";
import { type Schemas, usePage } from "../api";
import { useResource } from "../resource";
import { useStage } from "../screens/stage-context";
import { ProblemAlert } from "./problem";

type Point = Schemas["MeasuredPoint"];

const EVERY = 300_000;
const GIB = 1024 ** 3;

export default function Charts() {
  const { api } = usePage();
  const { name } = useStage();
  const read = useCallback((signal: AbortSignal) => api.metrics(name, signal), [api, name]);
  const { value, error, again } = useResource(read, () => EVERY);
  return (
    <Container
      header={
        <Header variant="h2" description="The last 24 hours, from CloudWatch; each point stands for 15 minutes">
          Use
        </Header>
      }
    >
      {error && !value ? (
        <ProblemAlert error={error} header="The measurements cannot be shown" again={again} />
      ) : (
        <ColumnLayout columns={3}>
          <Chart title="Highest CPU use" unit="%" points={value?.cpuPercent} scale={1} top={110} />
          <Chart title="Most connections" unit="" points={value?.connections} scale={1} />
          <Chart title="Least free storage" unit="GiB" points={value?.freeStorageBytes} scale={GIB} />
        </ColumnLayout>
      )}
    </Container>
  );
}

interface Of {
  title: string;
  unit: string;
  points: Point[] | undefined;
  scale: number;
  top?: number;
}

function Chart({ title, unit, points, scale, top }: Of) {
  const data = (points ?? []).map((point) => ({ x: new Date(point.at), y: point.value / scale }));
  const now = new Date();
  const highest = Math.max(1, ...data.map((point) => point.y));
  const format = (value: number) => `${String(Math.round(value * 10) / 10)}${unit === "" ? "" : ` ${unit}`}`;
  return (
    <div>
      <Box variant="h3">{title}</Box>
      <LineChart
        ariaLabel={title}
        height={160}
        hideFilter
        hideLegend
        statusType={points ? "finished" : "loading"}
        loadingText="Loading"
        xScaleType="time"
        xDomain={[new Date(now.getTime() - 24 * 3600 * 1000), now]}
        yDomain={[0, top ?? highest * 1.15]}
        series={data.length === 0 ? [] : [{ type: "line", title, data, valueFormatter: format }]}
        i18nStrings={{
          xTickFormatter: (time) => time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
          yTickFormatter: format,
          chartAriaRoleDescription: "line chart",
        }}
        empty={
          <Box textAlign="center" color="text-body-secondary">
            <Box variant="strong" color="inherit">
              No data yet
            </Box>
            <Box variant="p" color="inherit">
              CloudWatch has measured nothing in the last 24 hours.
            </Box>
          </Box>
        }
      />
    </div>
  );
}
