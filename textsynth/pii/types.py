"""The types of personal data that are looked for, by Presidio's names where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "EMAIL_ADDRESS": "e-mail address",
        "PHONE_NUMBER": "telephone number, international or national",
        "CREDIT_CARD": "payment card number (issuer ranges, Luhn)",
        "IBAN_CODE": "international bank account number (length by country, mod 97)",
        "US_BANK_NUMBER": "bank account number named by the words around it",
        "US_ROUTING_NUMBER": "ABA routing number (checksum and context)",
        "UK_SORT_CODE": "UK bank sort code in context",
        "US_SSN": "US social security number",
        "US_ITIN": "US individual taxpayer number",
        "UK_NINO": "UK national insurance number",
        "UK_NHS": "UK health service number (mod 11 and context)",
        "DE_TAX_ID": "German tax identification number (mod 11, 10)",
        "FR_NIR": "French social security number (mod 97)",
        "IT_FISCAL_CODE": "Italian fiscal code (check letter)",
        "ES_NIF": "Spanish NIF or NIE (check letter)",
        "NL_BSN": "Dutch citizen service number (11-test and context)",
        "PL_PESEL": "Polish PESEL (checksum and context)",
        "SE_PERSONNUMMER": "Swedish personal identity number (Luhn)",
        "FI_PERSONAL_IDENTITY_CODE": "Finnish personal identity code (check letter)",
        "IN_AADHAAR": "Indian Aadhaar number (Verhoeff)",
        "IN_PAN": "Indian permanent account number",
        "BR_CPF": "Brazilian CPF (two check digits)",
        "BR_CNPJ": "Brazilian CNPJ (two check digits)",
        "CA_SIN": "Canadian social insurance number (Luhn)",
        "AU_TFN": "Australian tax file number (mod 11 and context)",
        "PASSPORT": "passport number in context",
        "DRIVER_LICENSE": "driving licence number in context",
        "IP_ADDRESS": "IPv4 or IPv6 address",
        "MAC_ADDRESS": "hardware address",
        "URL_CREDENTIALS": "URL that carries a user name and password",
        "SECRET": "API key, token, private key or password",
        "CRYPTO": "wallet address (base58check, bech32, hex)",
        "DATE_OF_BIRTH": "date that the words around it make a date of birth",
        "GEO_COORDINATES": "latitude and longitude of a place",
        "PERSON": "name of a person",
        "LOCATION": "place: city, region, country",
        "ADDRESS": "street or postal address",
        "ORGANIZATION": "company or institution",
        "NRP": "nationality, religious or political group",
    }
)
