import { expect, test } from "vitest";
import { attemptMilliseconds, type Situation } from "./patience.ts";

const calm: Situation = {
  usualMilliseconds: undefined,
  inTheWay: false,
  failures: 0,
  expiresInSeconds: Number.POSITIVE_INFINITY,
  leftMilliseconds: 30_000,
};

test.each([
  { when: "there is no hurry", situation: {}, milliseconds: 10_000 },
  { when: "the user says otherwise", situation: { usualMilliseconds: 250 }, milliseconds: 250 },
  { when: "another endpoint could be asked", situation: { inTheWay: true }, milliseconds: 3_000 },
  { when: "it failed once already", situation: { inTheWay: true, failures: 1 }, milliseconds: 6_000 },
  { when: "it failed often", situation: { inTheWay: true, failures: 9 }, milliseconds: 10_000 },
  { when: "a certificate runs out in 12 s", situation: { expiresInSeconds: 12 }, milliseconds: 4_000 },
  { when: "a certificate has run out", situation: { expiresInSeconds: -5 }, milliseconds: 2_000 },
  { when: "it has, and the CA may be slow", situation: { expiresInSeconds: -5, failures: 2 }, milliseconds: 6_000 },
  { when: "the time for all tries is nearly over", situation: { leftMilliseconds: 4_700.9 }, milliseconds: 4_700 },
  { when: "it is over", situation: { leftMilliseconds: -3 }, milliseconds: 2_000 },
])("an attempt may take $milliseconds ms when $when", ({ situation, milliseconds }) => {
  expect(attemptMilliseconds({ ...calm, ...situation })).toBe(milliseconds);
});
