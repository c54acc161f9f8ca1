"use strict";
// Before the first paint, so that a page in chosen colours never flashes in others.
try {
  const theme = localStorage.getItem("finetune-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // A page from disk may have no storage.
}
