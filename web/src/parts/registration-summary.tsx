/** Services and jobs of a registration, as tables. */
import Box from "@cloudscape-design/components/box";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";

interface Service {
  cluster: string;
  name: string;
  container: string;
  problem?: string | null;
}

interface Job {
  family: string;
  container: string;
  securityGroupId?: string | null;
  problem?: string | null;
}

function Problem({ text }: { text: string | null | undefined }) {
  return text ? <StatusIndicator type="error">{text}</StatusIndicator> : <StatusIndicator type="success">OK</StatusIndicator>;
}

/** `live` shows whether each service and job can get its variables. */
export function RegistrationSummary({ services, jobs, live = false }: { services: Service[]; jobs: Job[]; live?: boolean }) {
  return (
    <SpaceBetween size="l">
      <Table
        variant="embedded"
        wrapLines
        items={services}
        trackBy={(service) => `${service.cluster}/${service.name}`}
        ariaLabels={{ tableLabel: "Services" }}
        columnDefinitions={[
          { id: "name", header: "Service", cell: (service) => service.name, isRowHeader: true, minWidth: 150 },
          { id: "cluster", header: "Cluster", cell: (service) => service.cluster, minWidth: 110 },
          { id: "container", header: "Container", cell: (service) => service.container, minWidth: 120 },
          ...(live
            ? [{ id: "problem", header: "Status", cell: (service: Service) => <Problem text={service.problem} />, minWidth: 150 }]
            : []),
        ]}
      />
      {jobs.length > 0 ? (
        <Table
          variant="embedded"
          wrapLines
          items={jobs}
          trackBy="family"
          ariaLabels={{ tableLabel: "Jobs" }}
          columnDefinitions={[
            { id: "family", header: "Job", cell: (job) => job.family, isRowHeader: true, minWidth: 150 },
            { id: "group", header: "Security group", cell: (job) => job.securityGroupId ?? "–", minWidth: 150 },
            { id: "container", header: "Container", cell: (job) => job.container, minWidth: 120 },
            ...(live ? [{ id: "problem", header: "Status", cell: (job: Job) => <Problem text={job.problem} />, minWidth: 150 }] : []),
          ]}
        />
      ) : (
        <Box color="text-body-secondary">The stage has no jobs.</Box>
      )}
    </SpaceBetween>
  );
}
