package database

// PostgresDSN is what the driver is given for a URL, for tests that must connect as Open
// does.
func PostgresDSN(raw string) (string, error) {
	at, err := parsePostgres(raw)
	if err != nil {
		return "", err
	}
	return at.unlimited(), nil
}
