import { stripTypeScriptTypes } from "node:module";
import { type Page, readPage } from "./parts.ts";

/** The page, for a program that runs from its sources; the bundler puts the text itself in place of this module. */
export const page: Page = readPage(stripTypeScriptTypes);
