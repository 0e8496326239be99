/** The database's load in the last 24 hours, to help the user choose an instance class. */
import Box from "@cloudscape-design/components/box";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import LineChart from "@cloudscape-design/components/line-chart";
import { useCallback } from "react";
import { type Schemas, usePage } from "../api";
import { timeZone } from "../logic/words";
import { useResource } from "../resource";
import { useStage } from "../stage-context";
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
        <Header
          variant="h2"
          description={`The last 24 hours, from CloudWatch. Each point covers 15 minutes. Times are in ${timeZone()}.`}
        >
          Usage
        </Header>
      }
    >
      {error && !value ? (
        <ProblemAlert error={error} header="Couldn't load the metrics" again={again} />
      ) : (
        <ColumnLayout columns={3}>
          <Chart title="Peak CPU utilization" unit="%" points={value?.cpuPercent} scale={1} top={110} />
          <Chart title="Peak connections" unit="" points={value?.connections} scale={1} />
          <Chart title="Lowest free storage" unit="GiB" points={value?.freeStorageBytes} scale={GIB} />
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
  const format = (value: number) => `${String(Math.round(value * 10) / 10)}${unit === "" || unit === "%" ? unit : ` ${unit}`}`;
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
          xTickFormatter: (time) => time.toLocaleTimeString("en-US", { hour: "numeric", minute: "2-digit" }),
          yTickFormatter: format,
          chartAriaRoleDescription: "line chart",
        }}
        empty={
          <Box textAlign="center" color="text-body-secondary">
            <Box variant="strong" color="inherit">
              No data yet
            </Box>
            <Box variant="p" color="inherit">
              CloudWatch has no data for the last 24 hours.
            </Box>
          </Box>
        }
      />
    </div>
  );
}
