import { Agent, fetch, type RequestInit, type Response } from "undici";

/** A client that trusts these roots (PEM) and no others, with a connection of its own for each request. */
export function fetchTrusting(roots: string): (url: string, init?: RequestInit) => Promise<Response> {
  const dispatcher = new Agent({ connect: { ca: roots }, pipelining: 0 });
  return (url, init) => fetch(url, { ...init, dispatcher });
}
