/** Tests against real clients: `npm run test:real`. They need what test/real/package.json names, and a build. */
module.exports = {
  test: { include: ['**/*.real.ts'], testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false },
};
