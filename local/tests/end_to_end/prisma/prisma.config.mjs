import { PrismaPg } from "@prisma/adapter-pg";
import { defineConfig } from "prisma/config";

/** The database that the variables name. */
export const database = new PrismaPg({
  host: process.env.PG_HOST,
  port: Number(process.env.PG_PORT),
  database: process.env.PG_DATABASE,
  user: process.env.PG_USER,
  password: process.env.PG_CREDENTIALS_SECRET,
  ssl: process.env.PGSSLMODE === "disable" ? false : { rejectUnauthorized: false },
});

// Prisma downloads its native engines from a host of its own, so none is used: `engine: "js"`, which Prisma 7 no longer has, runs the schema
// engine that npm's package contains as WebAssembly. The adapter is Prisma 7's, because Prisma 6's can't read Postgres's type `name`.
export default defineConfig({
  schema: "schema.prisma",
  migrations: { path: "migrations" },
  experimental: { adapter: true },
  engine: "js",
  adapter: async () => database,
});
