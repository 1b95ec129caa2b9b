package plextest

import (
	"net/http"
	"strconv"
)

// deleteSharings ends everything between the caller and an account.
func (c *call) deleteSharings() reply {
	id, err := strconv.ParseInt(c.r.PathValue("uid"), 10, 64)
	if err != nil || !c.f.sever(c.who.ID, id) {
		return notFoundV2()
	}
	return noContent()
}

// deleteFriendV2 may have died with the friends list: a switch.
func (c *call) deleteFriendV2() reply {
	switch c.f.switches.V2FriendDelete {
	case http.StatusNoContent:
		return c.deleteSharings()
	case http.StatusNotFound:
		return notFoundV2()
	default:
		return gone()
	}
}
