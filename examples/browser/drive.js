// Opens the page in headless Chromium, gives it photos, and prints the predictions as one JSON document.
//
//     node drive.js URL CHROMIUM PROFILE SCREENSHOT PHOTO…

import { chromium } from "playwright-core";

const [url, executablePath, profile, screenshot, ...photos] = process.argv.slice(2);
const args = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const context = await chromium.launchPersistentContext(profile, {
  executablePath, args, headless: true, viewport: { width: 1000, height: 720 },
});
try {
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  const state = (wanted) => page.waitForSelector(wanted.map((name) => `body[data-state=${name}]`).join(","));
  await page.goto(url);
  await state(["ready", "failed"]);
  const answers = [];
  for (const photo of photos) {
    await page.setInputFiles("#photo", []);
    await page.evaluate(() => { document.body.dataset.state = "waiting"; });
    await page.setInputFiles("#photo", photo);
    await state(["answered", "failed"]);
    answers.push(await page.evaluate(() => ({
      message: document.getElementById("message").textContent,
      answers: [...document.querySelectorAll("#answers li")].map(({ dataset }) => ({
        label: dataset.label, probability: Number(dataset.probability),
      })),
      // The input of the network, for comparison with Python's pixels.
      pixels: [...document.getElementById("square").getContext("2d")
        .getImageData(0, 0, document.getElementById("square").width, document.getElementById("square").height).data],
    })));
  }
  await page.waitForTimeout(500); // for the animation of the bars
  await page.screenshot({ path: screenshot, fullPage: true });
  console.log(JSON.stringify({ model: await page.textContent("#model"), problems, photos: answers }));
} finally {
  await context.close();
}
