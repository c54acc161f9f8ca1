"use strict";
// Runs before the first paint, so that the page does not flash in other colours than those chosen.
try {
  const theme = localStorage.getItem("finetune-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // A page opened from disk may have no storage.
}
