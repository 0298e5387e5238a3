// The whole of undici takes 46 ms and 8 MiB to load, its pool alone 15 ms and 4 MiB; only the index has types.
declare module "undici/lib/dispatcher/pool.js" {
  import { Pool } from "undici";
  export default Pool;
}
