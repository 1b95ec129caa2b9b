package jellyfintest

import (
	"encoding/base64"
	"mime"
	"net/http"
	"slices"
	"strings"
)

var imageTypes = []string{"image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/svg+xml"}

// setAvatar takes a picture in base64.
func setAvatar(c *call) reply {
	id, _ := c.userID()
	e, r, done := c.settable(id, "User is not allowed to update the image.", false)
	if done {
		return r
	}
	media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(imageTypes, media) {
		return said(http.StatusBadRequest, "Incorrect ContentType.")
	}
	if name := e.rec.Load().name; c.p.avatarNameChecked && (name == "." || name == ".." || strings.ContainsAny(name, `/\`)) {
		return said(http.StatusBadRequest, "Invalid user.")
	}
	if _, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(c.body))); err != nil {
		return thrown(http.StatusInternalServerError)
	}
	c.commit(func() { c.st.change(e, func(u *user) { u.avatar = randomHex(16) }) })
	return empty(http.StatusNoContent)
}

func deleteAvatar(c *call) reply {
	id, _ := c.userID()
	e, r, done := c.settable(id, "User is not allowed to delete the image.", false)
	if done {
		return r
	}
	c.commit(func() { c.st.change(e, func(u *user) { u.avatar = "" }) })
	return empty(http.StatusNoContent)
}
