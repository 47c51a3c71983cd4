package restv3

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
	"github.com/openams/openams/restv3/arm"
)

// page is one page of a list as the query options ask for it.
type page struct {
	catalog.Query
	limited bool // there is a $top
	left    int  // how many more it allows, on this page and later
}

// pageOf reads $filter, $orderby, $top and $skiptoken. $top is how many
// entities the client wants over all pages (OData 4.0, 11.2.5.3), so the
// token of the next page carries how many are left: "{left}.{place}".
func pageOf(r *http.Request) (p page, err error) {
	if p.Filter, err = filter.Parse(arm.Query(r, "$filter")); err != nil {
		return p, ams.Invalidf("$filter", "%s", err.Error())
	}
	orders, err := filter.ParseOrder(arm.Query(r, "$orderby"))
	if err != nil {
		return p, ams.Invalidf("$orderby", "%s", err.Error())
	}
	switch len(orders) {
	case 0:
	case 1:
		p.OrderBy, p.Desc = orders[0].Field, orders[0].Desc
	default:
		return p, ams.Invalidf("$orderby", "A list can be ordered by one property only.")
	}
	if top := arm.Query(r, "$top"); top != "" {
		p.limited = true
		if p.left, err = strconv.Atoi(top); err != nil || p.left < 0 {
			return p, ams.Invalidf("$top", "$top must be a number, not negative.")
		}
	}
	if token := arm.Query(r, "$skiptoken"); token != "" {
		left, after, ok := strings.Cut(token, ".")
		n, err := strconv.Atoi(left)
		if !ok || err != nil || n < 0 {
			return p, ams.Invalidf("$skiptoken", "The $skiptoken does not belong to this list.")
		}
		p.After = after
		if p.limited {
			p.left = min(p.left, n)
		}
	}
	if p.limited {
		p.Top = min(max(p.left, 1), catalog.PageSize)
	}
	return p, nil
}

// writeList answers one page of a list.
func writeList[T any](w http.ResponseWriter, r *http.Request, p page, items []T, next string, body func(T) *arm.Resource) error {
	if p.limited {
		items = items[:min(len(items), p.left)]
		if p.left -= len(items); p.left == 0 {
			next = ""
		}
	}
	if next != "" {
		next = strconv.Itoa(p.left) + "." + next
	}
	out := make([]*arm.Resource, len(items))
	for i, item := range items {
		out[i] = body(item)
	}
	return arm.WriteResources(w, r, out, next)
}
