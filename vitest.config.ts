import { defineConfig } from 'vitest/config'

// One project a kind of test, so that `vitest --project unit` needs neither a build nor a rig. Tests that watch real
// processes are given a second try: a shared machine that stands still for seconds is no fault of theirs, and the report
// names what needed it.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/*.test.ts', 'test/unit/**/*.test.ts', 'test/fakes/**/*.test.ts'],
          setupFiles: ['test/certificate-polyfill.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'plugin',
          retry: 1,
          include: ['test/plugin/**/*.test.ts'],
          setupFiles: ['test/certificate-polyfill.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'conformance',
          retry: 1,
          include: ['test/conformance/**/*.test.ts'],
          setupFiles: ['test/certificate-polyfill.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'tower',
          retry: 1,
          include: ['test/e2e/tower/**/*.test.ts'],
          setupFiles: ['test/certificate-polyfill.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['test/vm/**/*.test.ts'],
          fileParallelism: false,
          setupFiles: ['test/certificate-polyfill.ts'],
          testTimeout: 60_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'e2e',
          retry: 1,
          include: ['test/e2e/**/*.test.ts'],
          exclude: ['test/e2e/tower/**'],
          setupFiles: ['test/certificate-polyfill.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
})
