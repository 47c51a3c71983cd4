package restblob

import "net/http"

// accountInfo serves Get Account Information.
func (s *server) accountInfo(w http.ResponseWriter, q *request) error {
	h := w.Header()
	h.Set("x-ms-sku-name", "Standard_LRS")
	h.Set("x-ms-account-kind", "StorageV2")
	h.Set("x-ms-is-hns-enabled", "false")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}
