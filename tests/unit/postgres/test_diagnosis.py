"""A refusal that PostgreSQL tells in the language of its host."""

from __future__ import annotations

import pytest

from k3s_tui.resources.postgres.diagnosis import Kind, kind_of_foreign_words

RULES = "FATAL:  kein pg_hba.conf-Eintrag für Host »10.0.0.1«, Benutzer »k3s«, Datenbank »k3s«"
GERMAN = "FATAL:  Passwort-Authentifizierung für Benutzer »k3s« fehlgeschlagen"
ITALIAN = 'FATAL:  autenticazione con password fallita per l\'utente "k3s"'
CHINESE = '致命错误:  用户 "k3s" Password 认证失败'
CERTIFICATES = (
    "FATAL:  Verbindung erfordert ein gültiges Client-Zertifikat",
    "FATAL:  la connessione richiede un certificato valido per il client",
    "FATAL:  la connexion requiert un certificat client valide",
    "ВАЖНО:  для подключения требуется годный сертификат клиента",
    "致命错误:  连接中需要一个有效的客户端认证",
    "FATAL:  この接続には有効なクライアント証明が必要です",
)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (RULES, "rules"),
        *((said, "password") for said in (GERMAN, ITALIAN, CHINESE)),
        *((said, "other") for said in CERTIFICATES),
        # English that no other rule knows is not guessed at.
        ('FATAL:  database "k3s" is not currently accepting connections', "other"),
        ("ФАТАЛЬНО", "other"),
    ],
)
def test_with_a_certificate_over_tls(said: str, kind: Kind) -> None:
    assert kind_of_foreign_words(said, "k3s", tls=True, certificate=True) == kind


@pytest.mark.parametrize("said", CERTIFICATES)
def test_a_certificate_is_missing(said: str) -> None:
    found = kind_of_foreign_words(said, "k3s", tls=True, certificate=False)
    assert found == "no-certificate"


def test_only_what_speaks_of_it_is_about_the_certificate() -> None:
    full = "FATAL:  tut mir leid, schon zu viele Verbindungen"
    assert kind_of_foreign_words(full, "k3s", tls=True, certificate=False) == "other"


def test_over_plain_tcp() -> None:
    found = kind_of_foreign_words(RULES, "k3s", tls=False, certificate=False)
    assert found == "rules-plain"
