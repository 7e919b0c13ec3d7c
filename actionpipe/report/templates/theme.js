(() => {
  try {
    const kept = localStorage.getItem("actionpipe-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch { /* a page opened from disk may keep nothing */ }
})();
