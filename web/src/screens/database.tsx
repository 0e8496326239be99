/** Database: its details, how to connect, its usage, and the forms to change or remove it. */
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs, { type KeyValuePairsProps } from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { lazy, Suspense, useCallback, useState } from "react";
import { type Login, type Read, usePage } from "../api";
import { isAppLogin, isUnsettled, loginInWords, nextRotation, passwordAge, UNSETTLED } from "../logic/login";
import { IN_PLACE, settingLabel } from "../logic/settings";
import { databaseStatus, fieldInWords, valueInWords } from "../logic/words";
import { ChangeForm } from "../parts/change-form";
import { ConnectionHelp } from "../parts/connection-help";
import { Copyable } from "../parts/copyable";
import { LastChange } from "../parts/last-change";
import { ProblemAlert } from "../parts/problem";
import { RemoveDatabase } from "../parts/remove-database";
import { RotateLogin } from "../parts/rotate-login";
import { useResource } from "../resource";
import { follow, pathOf } from "../router";
import { useLock, useStage } from "../stage-context";

const Charts = lazy(() => import("../parts/charts"));

/** Milliseconds between reads while the database is changing, and while the login from before is still enabled. */
const CHANGING = 2500;
const UNSETTLED_LOGIN = 10_000;

export default function DatabaseScreen() {
  const { api } = usePage();
  const { name, running, version } = useStage();
  const read = useCallback(
    (signal: AbortSignal) => api.database(name, signal),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a rebuild that starts or finishes changes the database
    [api, name, version],
  );
  const { value, error, again } = useResource(read, (database) => {
    if (running || (database && databaseStatus(database.state).type === "in-progress")) return CHANGING;
    return isUnsettled(database?.login) ? UNSETTLED_LOGIN : null;
  });
  if (error && !value) return <ProblemAlert error={error} header="Couldn't load the database" again={again} />;
  if (!value) return <Spinner size="large" />;
  if (value.settings.source === "none") return <NoDatabase database={value} />;
  return (
    <SpaceBetween size="l">
      <Details database={value} />
      {value.settings.source === "created" ? (
        <ChangeForm key={value.etag} database={value} />
      ) : (
        <AttachedNote />
      )}
      {value.live?.endpoint && <ConnectionHelp />}
      <Suspense fallback={<Spinner />}>
        <Charts />
      </Suspense>
      <RemoveDatabase database={value} />
    </SpaceBetween>
  );
}

function NoDatabase({ database }: { database: Read }) {
  const { name } = useStage();
  const lock = useLock("previewDatabase", "putDatabase");
  const removing = database.state === "removing";
  return (
    <Container>
      <Box textAlign="center" padding={{ vertical: "xl" }}>
        <SpaceBetween size="m">
          <Box variant="h1">Add a database</Box>
          {removing ? (
            <Box>
              <StatusIndicator type="in-progress">The previous database is being removed. Its final snapshot is kept.</StatusIndicator>
            </Box>
          ) : (
            <Box color="text-body-secondary">
              <div>This stage doesn't currently have a database. Would you like to add one?</div>
              <div>You'll be able to create a new database, select an existing one, or restore one from a snapshot.</div>
            </Box>
          )}
          <Button
            variant="primary"
            href={pathOf({ ...name, screen: "add" })}
            onFollow={follow}
            {...lock}
          >
            Add database
          </Button>
          <LastChange />
        </SpaceBetween>
      </Box>
    </Container>
  );
}

function Details({ database }: { database: Read }) {
  const { live, login, settings, state, usedBy } = database;
  const status = databaseStatus(state);
  const created = settings.source === "created";
  const isCluster = settings.source === "attached" && settings.kind === "cluster";
  const pair = (label: string, value: React.ReactNode): KeyValuePairsProps.Item => ({ label, value: value ?? "–" });
  const items: KeyValuePairsProps.Item[] = [
    pair(isCluster ? "DB cluster" : "DB instance", live ? <Copyable text={live.identifier} /> : "–"),
    pair("Status", <StatusIndicator type={status.type}>{status.text}</StatusIndicator>),
    pair("Endpoint", live?.endpoint ? <Copyable text={`${live.endpoint.host}:${String(live.endpoint.port)}`} /> : "–"),
    pair(settingLabel("databaseName") ?? "Database name", settings.source === "none" ? "–" : settings.databaseName),
    pair(settingLabel("instanceClass") ?? "Instance class", live?.instanceClass),
    pair(settingLabel("engineVersion") ?? "PostgreSQL version", live?.engineVersion),
  ];
  if (created) {
    items.push(
      pair("Login", <LoginValue login={login} />),
      pair("Storage", live?.storageGiB == null ? undefined : `${String(live.storageGiB)} GiB`),
      ...IN_PLACE.map(({ name, label }) => pair(label, valueInWords((live as Record<string, unknown> | undefined)?.[name]))),
      pair("Deletion protection", live?.deletionProtection ? "Yes" : "No"),
      pair("Maintenance window (UTC)", live?.maintenanceWindow),
    );
  } else if (settings.source === "attached") {
    items.push(
      pair("Credentials", settings.credentials ? <Copyable text={settings.credentials.secretArn} /> : "Entered manually"),
      pair("Also used by", usedBy?.length ? usedBy.join(", ") : "No other stages"),
    );
  }
  const pending = Object.entries(live?.pending ?? {}).filter(([, value]) => value != null);
  return (
    <Container
      header={
        <Header
          variant="h1"
          description="Here you can configure your database and find connection information"
          actions={login && isAppLogin(login) && <RotateLogin login={login} />}
        >
          Database
        </Header>
      }
    >
      <SpaceBetween size="l">
        {state === "missing" && (
          <Alert type="error" header="Database not found in RDS">
            It may have been deleted outside of stagedb. {created ? "Remove" : "Detach"} the database from this stage, then
            add another one.
          </Alert>
        )}
        <KeyValuePairs columns={3} items={items} />
        <LastChange />
        {pending.length > 0 && (
          <Alert type="info" header="Pending until the next maintenance window">
            {pending.map(([field, value]) => `${fieldInWords(field)}: ${valueInWords(value)}`).join(", ")}
          </Alert>
        )}
      </SpaceBetween>
    </Container>
  );
}

function LoginValue({ login }: { login: Login | null | undefined }) {
  const [now] = useState(Date.now);
  const details = [passwordAge(login), nextRotation(login, now), isUnsettled(login) ? UNSETTLED : undefined];
  return (
    <>
      {loginInWords(login)}
      {details.map(
        (detail) =>
          detail !== undefined && (
            <Box key={detail} variant="small" display="block">
              {detail}
            </Box>
          ),
      )}
    </>
  );
}

function AttachedNote() {
  const { name } = useStage();
  const lock = useLock("previewDatabase", "putDatabase");
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button href={pathOf({ ...name, screen: "add" })} onFollow={follow} {...lock}>
              Change attached database
            </Button>
          }
        >
          Attached database
        </Header>
      }
    >
      stagedb doesn't manage this database and never modifies or deletes it. To change its size, use the{" "}
      <Link external externalIconAriaLabel="Opens in a new tab" href="https://console.aws.amazon.com/rds/">
        Amazon RDS console
      </Link>
      .
    </Container>
  );
}
